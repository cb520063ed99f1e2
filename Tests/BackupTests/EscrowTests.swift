@testable import Backup
import Foundation
import Mesh
@testable import Repository
import Sealing
import Testing

@Suite("Rings that are closed to an escrow key") struct EscrowTests {
    /// A repository whose ring a key file opens, and a box of which only the public half was there.
    private struct Founded {
        let store = MemoryStore()
        let rings: Rings
        let first: KnownRing
        let key: KeyHolder
        let escrow: BoxPrivateKey
        let recipient: KeyHolder
        var chance: SeededRandom

        init(tenant: UInt64 = 4, seed: UInt64 = 1) throws {
            rings = Rings(
                store, repository: RepositoryID(high: 1, low: 2),
                tenant: TenantID(high: 3, low: tenant))
            key = .file(try Rig.secret(50))
            escrow = BoxPrivateKey(try Rig.secret(60))
            recipient = .recipient(try #require(escrow.publicKey))
            chance = SeededRandom(seed: seed)
            first = try rings.found(
                for: [NamedHolder("key", key), NamedHolder("escrow", recipient)], at: WallTime(5),
                using: &chance)
            try Vault.found(rings.repository, in: store)
        }
    }

    @Test func `the private half opens what the public one closed, which opens nothing`() throws {
        let it = try Founded()
        #expect(try it.rings.newest(openedBy: .box(it.escrow)).digest == it.first.digest)
        let told = try words { _ = try it.rings.newest(openedBy: it.recipient) }
        #expect(told.contains("opens nothing: give the private one"))
        let stranger = KeyHolder.box(BoxPrivateKey(try Rig.secret(61)))
        let wrong = try words { _ = try it.rings.newest(openedBy: stranger) }
        #expect(wrong.hasPrefix("wrong key: the X25519 box"))
    }

    @Test func `a rotation keeps a box without its private half`() throws {
        var it = try Founded()
        let second = try it.rings.append(
            after: it.first, for: [it.key], at: WallTime(10), using: &it.chance)
        #expect(second.ring.current.epoch == KeyEpoch(2))
        #expect(try it.rings.wrappings(2).map(\.name) == ["key", "escrow"])
        let opened = try it.rings.newest(openedBy: .box(it.escrow), since: it.first)
        #expect(opened.digest == second.digest)
        // Closed anew: the ring's own key is another one.
        #expect(try it.rings.wrappings(1)[1].bytes != it.rings.wrappings(2)[1].bytes)
    }

    @Test func `who has the private half can rotate with it, or drop it`() throws {
        var it = try Founded()
        let second = try it.rings.append(
            after: it.first, for: [it.key, .box(it.escrow)], at: .zero, using: &it.chance)
        let spare = KeyHolder.file(try Rig.secret(51))
        let third = try it.rings.append(
            after: second, for: [it.key], adding: [NamedHolder("spare", spare)],
            dropping: ["escrow"], at: .zero, using: &it.chance)
        #expect(try it.rings.newest(openedBy: spare).digest == third.digest)
        #expect(throws: BackupFailure.self) { try it.rings.newest(openedBy: .box(it.escrow)) }
    }

    @Test func `one key twice, or none that opens, founds no tenant`() throws {
        var it = try Founded()
        let public2 = KeyHolder.recipient(
            try #require(BoxPrivateKey(try Rig.secret(61)).publicKey))
        let weak = KeyHolder.recipient(try #require(BoxPublicKey([UInt8](repeating: 0, count: 32))))
        let rings = Rings(
            it.store, repository: it.rings.repository, tenant: TenantID(high: 9, low: 9))
        let putCount = it.store.putCount
        for (holders, why) in [
            ([it.recipient, .box(it.escrow), it.key], "two of the keys are the same one"),
            ([it.recipient, public2], "none of the keys opens"),
            ([it.key, weak], "no private key belongs to that public one"),
        ] {
            let named = holders.enumerated().map { NamedHolder("\($0)", $1) }
            let told = try words {
                _ = try rings.found(for: named, at: .zero, using: &it.chance)
            }
            #expect(told.contains(why), "\(told)")
        }
        #expect(it.store.putCount == putCount)
    }

    @Test func `a key that does not say whose it is finds what it opens`() throws {
        let (one, other) = (try Founded(tenant: 4), try Founded(tenant: 5, seed: 2))
        for (name, bytes) in other.store.objects { one.store.change(name) { $0 = bytes } }
        let escrow = KeyHolder.box(one.escrow)
        let both = try words { _ = try Rings.find(escrow, in: one.store) }
        #expect(both.contains("rings of 2 tenants, \(one.rings.tenant), \(other.rings.tenant)"))
        let told = try Rings.find(escrow, in: one.store, tenant: other.rings.tenant)
        #expect(try told.newest(openedBy: escrow).digest == other.first.digest)
        one.store.change(other.rings.name(1)) { $0 = nil }
        let found = try Rings.find(escrow, in: one.store)
        #expect(found.tenant == one.rings.tenant && found.repository == one.rings.repository)
        let stranger = KeyHolder.box(BoxPrivateKey(try Rig.secret(61)))
        let wrong = try words { _ = try Rings.find(stranger, in: one.store) }
        #expect(wrong.contains("opens the rings of none of 1 tenants"))
        one.store.change(one.rings.name(1)) { $0 = nil }
        let none = try words { _ = try Rings.find(escrow, in: one.store) }
        #expect(none.contains("no key ring of any tenant"))
    }

    @Test func `a key pair is made as two files, or not at all`() throws {
        let folder = NSTemporaryDirectory() + "hfe-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (path, other) = (folder + "/escrow", folder + "/escrow.pub")
        try KeyStorage.makeEscrow(Rig.secret(60), path, publicPath: other)
        let modes = try [path, other].map {
            try FileManager.default.attributesOfItem(atPath: $0)[.posixPermissions] as? Int
        }
        #expect(modes == [0o600, 0o644])
        let read = try KeyStorage.escrowPublic(other)
        #expect(try read == BoxPrivateKey(Rig.secret(60)).publicKey)
        let taken = try words {
            try KeyStorage.makeEscrow(Rig.secret(61), folder + "/new", publicPath: other)
        }
        #expect(taken == "\(other) is there already: no key is written over anything")
        #expect(!FileManager.default.fileExists(atPath: folder + "/new"))
        #expect(try words { _ = try KeyStorage.escrowPublic(path) }.contains("does not begin"))
    }
}
