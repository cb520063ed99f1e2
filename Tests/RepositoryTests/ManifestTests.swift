import Mesh
import Sealing
import Testing

@testable import Repository

@Suite("Manifests") struct ManifestTests {
    private static func volume(
        _ id: UInt64, _ name: String = "disk", top: Slot = .hole
    ) throws -> Manifest.Volume {
        let shape = try #require(VolumeShape(new: 1 << 20))
        return try #require(
            Manifest.Volume(
                id: VolumeID(id), name: name, isSync: id % 2 == 0,
                lastWrite: Manifest.WriteMark(generation: id << 32 | 7, number: id * 3),
                map: VolumeMap(shape, top: top)))
    }

    private static func manifest(
        _ volumes: [Manifest.Volume], after former: ManifestObject? = nil, state: [Digest] = []
    ) -> Manifest {
        Manifest(
            after: former, kind: .incremental,
            consistency: .application, cluster: ClusterID(high: 5, low: 6), group: GroupID(3),
            position: Position(index: LogIndex(70), term: Term(4)), epoch: Epoch(2), time: 99,
            volumes: volumes, state: state)
    }

    private static func some() throws -> Manifest {
        try manifest(
            [
                volume(1), volume(2, "größer", top: .zeros),
                volume(9, top: .stored(digest([7]))),
            ], after: ManifestObject(sealing: manifest([]), in: place(), random: salt(2)),
            state: [digest([1]), digest([2])])
    }

    @Test func `a manifest says what it was told`() throws {
        for manifest in [Self.manifest([]), try Self.some()] {
            let made = try ManifestObject(sealing: manifest, in: place(), random: salt(1))
            #expect(made.bytes.count % 4_096 == 0)
            let read = try ManifestObject(made.bytes, for: place())
            #expect(read.manifest == manifest)
            #expect(read.digest == digest(made.bytes) && read.epoch == .first)
        }
        #expect(Self.manifest([]).predecessor == digest([]))
        let (first, some) = (Self.manifest([]), try Self.some())
        #expect(first.sequence == 1 && some.sequence == 2 && some.predecessor != digest([]))
    }

    /// Whoever has the key may seal any name, and whoever restores makes a file of it.
    @Test(arguments: ["", ".", "..", "../x", "/etc/x", "a/b", "a\0b"])
    func `a name that leads out of a directory is no volume's`(name: String) throws {
        let map = VolumeMap(try #require(VolumeShape(new: 1 << 20)), top: .hole)
        let mark = Manifest.WriteMark(generation: 1, number: 1)
        #expect(
            Manifest.Volume(id: VolumeID(1), name: name, isSync: true, lastWrite: mark, map: map)
                == nil)
    }

    @Test func `the largest lawful one is not too large to be read`() throws {
        let name = String(repeating: "n", count: Manifest.nameByteCountMax)
        let manifest = Self.manifest(
            try (0..<Manifest.volumesMax).map { try Self.volume(UInt64($0), name) },
            state: (0..<Manifest.piecesMax).map { digest([UInt8($0 & 255), UInt8($0 >> 8)]) })
        let made = try ManifestObject(sealing: manifest, in: place(), random: salt(1))
        #expect(try ManifestObject(made.bytes, for: place()).manifest == manifest)
    }

    @Test func `whatever byte turns or is missing, it is no manifest`() throws {
        let made = try ManifestObject(sealing: Self.some(), in: place(), random: salt(1))
        for at in made.bytes.indices {
            var hurt = made.bytes
            hurt[at] ^= 1
            #expect(throws: ObjectDamage.self, "byte \(at)") {
                try ManifestObject(hurt, for: place())
            }
        }
        for count in [0, 1, 95, 96, 4_095] {
            #expect(throws: ObjectDamage.self) {
                try ManifestObject(Array(made.bytes.prefix(count)), for: place())
            }
        }
        #expect(throws: ObjectDamage.oversized(Manifest.byteCountMax + 1)) {
            try ManifestObject(
                [UInt8](repeating: 0, count: Manifest.byteCountMax + 1), for: place())
        }
    }

    @Test func `one of another tenant, and a wrong key, are told from damage`() throws {
        let made = try ManifestObject(sealing: Self.some(), in: place(), random: salt(1))
        #expect(throws: ObjectDamage.anotherTenant(TenantID(high: 1, low: 2))) {
            try ManifestObject(made.bytes, for: place(tenant: 3))
        }
        #expect(throws: ObjectDamage.wrongKey(.first)) {
            try ManifestObject(made.bytes, for: place(2))
        }
    }

    /// Sealed by whoever has the key, and no manifest all the same.
    @Test func `what no manifest says is refused`() throws {
        let place = try place()
        let header = place.header(.manifest, salt: try salt(1))
        let key = place.key.key(of: header)
        let whole = try ManifestObject(sealing: Self.some(), in: place, random: salt(1))
        let (_, own) = try place.open(whole.bytes, as: .manifest)
        let (words, _) = try SealedObject.closing(
            whole.bytes, of: whole.bytes.count, key: own)
        func refused(_ change: (inout [UInt8]) -> Void) -> Bool {
            var (bytes, plain) = (header.encoded, words)
            change(&plain)
            SealedObject.close(&bytes, plain, key: key)
            do throws(ObjectDamage) { _ = try ManifestObject(bytes, for: place) } catch {
                return true
            }
            return false
        }
        // version 0, kind 4, consistency 5, rest 6, sequence 8, predecessor 16, cluster 48, group 64, index 72,
        // term 80, epoch 88, time 96, count 104, volumes from 108: id, bytes, cell, state, sync, name's length, zero.
        #expect(!refused { _ in })
        for at in [0, 4, 5, 6] { #expect(refused { $0[at] = 9 }, "byte \(at)") }
        #expect(refused { $0.store(0, at: 8, count: 8) }, "no sequence")
        #expect(refused { $0.store(1, at: 8, count: 8) }, "the first one has no predecessor")
        for at in [8, 72, 80, 88] {
            #expect(refused { $0.store(.max, at: at, count: 8) }, "a count at \(at)")
        }
        #expect(refused { $0.store(5_000, at: 104, count: 4) }, "volumes")
        #expect(refused { $0.store(3, at: 108, count: 8) }, "not in order")
        #expect(refused { $0.store(0, at: 116, count: 8) }, "no bytes")
        #expect(refused { $0.store(4_097, at: 124, count: 4) }, "cells")
        for at in [128, 129, 131, 132] { #expect(refused { $0[at] = 7 }, "byte \(at)") }
        #expect(refused { $0[130] = 0 }, "no name")
        #expect(refused { $0[180] = 0xff }, "its name is no text")
        // What is missing reads as zeros up to the end of the block, and is cut off behind that.
        #expect(refused { $0.store(20_000, at: 340, count: 4) }, "its state is cut off")
        #expect(refused { $0.store(20_481, at: 340, count: 4) }, "too much of a state")
        #expect(refused { $0[$0.count - 1] = 1 }, "something behind its end")
    }
}
