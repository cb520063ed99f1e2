import Mesh
import Sealing
import Testing

@testable import Repository

@Suite("Holds, sessions and collections") struct StatementTests {
    private static func hold() throws -> Hold {
        try #require(
            Hold(7, manifest: digest([1]), time: WallTime(9), reason: "größere Sache"))
    }

    private static func sessions() throws -> [SessionStatement] {
        let steps: [SessionStatement.Step] = [
            .begun(writer: "node 3", collection: 4, at: WallTime(9)), .commits,
            .givenUp(why: "no room left"), .ended(manifest: 12), .ended(manifest: 0),
        ]
        return try steps.map { try #require(SessionStatement(5, $0)) }
    }

    private static func names() -> CollectionStatement.Names {
        var names = CollectionStatement.Names()
        names.manifests = [1, 2, 9]
        names.indexes = [digest([1])]
        names.packs = [digest([2]), digest([3]), digest([4])].sorted()
        return names
    }

    private static func collections() -> [CollectionStatement] {
        [
            CollectionStatement(3, .begun(names())), CollectionStatement(3, .ended),
            CollectionStatement(3, .begun(CollectionStatement.Names())),
            CollectionStatement(
                3,
                .decided(
                    tombstones: digest([5]), spared: names(), letGo: NumberSet([1, 2, 3, 7, 9]))),
        ]
    }

    private func check<Said: Statement>(_ said: Said) throws {
        let bytes = try said.sealed(in: place(), random: salt(1))
        #expect(bytes.count % 4_096 == 0)
        #expect(try Said(bytes, for: place()) == said)
        #expect(throws: ObjectDamage.wrongKey(.first)) { try Said(bytes, for: place(2)) }
        for at in stride(from: 0, to: bytes.count, by: 61) {
            var hurt = bytes
            hurt[at] ^= 8
            #expect(throws: ObjectDamage.self) { try Said(hurt, for: place()) }
            #expect(throws: ObjectDamage.self) { try Said(Array(bytes[..<at]), for: place()) }
        }
    }

    @Test func `each is read as it was said, and hurt not at all`() throws {
        try check(Self.hold())
        for said in try Self.sessions() { try check(said) }
        for said in Self.collections() { try check(said) }
        // A hold is no session.
        let hold = try Self.hold().sealed(in: place(), random: salt(1))
        #expect(throws: ObjectDamage.anotherKind(.hold, wanted: .session)) {
            try SessionStatement(hold, for: place())
        }
    }

    @Test func `the largest collection is not too large to be read`() throws {
        var names = CollectionStatement.Names()
        names.manifests = (1...UInt64(CollectionStatement.manifestsMax)).map { 2 * $0 }
        names.indexes = (0..<CollectionStatement.indexesMax).map {
            digest([UInt8($0 & 255), UInt8($0 >> 8)])
        }.sorted()
        names.packs = (0..<CollectionStatement.packsMax).map {
            digest([UInt8($0 & 255), UInt8($0 >> 8 & 255), UInt8($0 >> 16)])
        }.sorted()
        let said = CollectionStatement(
            1,
            .decided(
                tombstones: digest([1]), spared: names, letGo: NumberSet(names.manifests)))
        let bytes = try said.sealed(in: place(), random: salt(1))
        #expect(try CollectionStatement(bytes, for: place()) == said)
    }

    /// Sealed by whoever has the key, and no statement all the same.
    private func isRefused<Said: Statement>(_ said: Said, _ change: (inout [UInt8]) -> Void) throws
        -> Bool
    {
        var words = said.words
        change(&words)
        let bytes = SealedWords.seal(words, as: Said.kind, in: try place(), random: try salt(1))
        return (try? Said(bytes, for: place())) == nil
    }

    @Test func `what nobody says is refused`() throws {
        let hold = try Self.hold()
        // version 0, backup 4, manifest 12, time 44, length 52, reason from 54.
        #expect(try !isRefused(hold) { _ in })
        #expect(try isRefused(hold) { $0[0] = 2 })
        #expect(try isRefused(hold) { $0[52] = 0 })
        #expect(try isRefused(hold) { $0[53] = 9 })
        #expect(try isRefused(hold) { $0[54] = 0xff })
        #expect(try isRefused(hold) { $0.append(1) })
        // version 0, number 4, what 12, rest 13, count 16, time 24, length 32.
        for said in try Self.sessions() {
            #expect(try !isRefused(said) { _ in })
            #expect(try isRefused(said) { $0[12] = 5 })
            #expect(try isRefused(said) { $0[12] = 0 })
            #expect(try isRefused(said) { $0[13] = 1 })
            #expect(try isRefused(said) { $0[33] = 0xff })
        }
        let commits = try Self.sessions()[1]
        #expect(try isRefused(commits) { $0[16] = 1 })
        #expect(try isRefused(commits) { $0[24] = 1 })
        // version 0, number 4, stage 12, rest 13, manifests' count 16, the first from 20.
        let begun = Self.collections()[0]
        #expect(try !isRefused(begun) { _ in })
        #expect(try isRefused(begun) { $0[12] = 4 })
        #expect(try isRefused(begun) { $0[15] = 1 })
        #expect(try isRefused(begun) { $0[20] = 2 })
        #expect(try isRefused(begun) { $0[19] = 0xff })
        // tombstones 16, ranges' count 48, the first from 52.
        let decided = Self.collections()[3]
        #expect(try !isRefused(decided) { _ in })
        #expect(try isRefused(decided) { $0[52] = 0 })
        #expect(try isRefused(decided) { $0[60] = 6 })
        #expect(try isRefused(decided) { $0[60] = 0 })
    }

    @Test func `numbers are joined to ranges`() {
        var set = NumberSet([3, 1, 2, 9, 9])
        #expect(set.ranges == [1...3, 9...9])
        set = set.union([4, 8, 20])
        #expect(set.ranges == [1...4, 8...9, 20...20])
        #expect(NumberSet().union([]) == NumberSet())
        for number in 0...21 as ClosedRange<UInt64> {
            #expect(set.contains(number) == [1, 2, 3, 4, 8, 9, 20].contains(number))
        }
    }

    @Test func `an inventory knows each name, and no other`() throws {
        let layout = Layout(TenantID(high: 3, low: 4))
        func inventory(_ names: [ObjectName]) throws -> Inventory {
            var listing = ObjectListing()
            listing.objects = names.map { .init(name: $0, byteCount: 5) }
            return try Inventory(listing, of: layout)
        }
        let (one, two) = (digest([1]), digest([2]))
        let known = try inventory([
            layout.pack(one), layout.index(two), layout.manifest(9), layout.manifest(2),
            layout.hold(2), layout.session(4, .begun), layout.session(4, .decided),
            layout.collection(1, .ended), layout.ring(1),
            layout.stretch(ClusterID(high: 1, low: 2), GroupID(1), first: LogIndex(70)),
        ])
        #expect(known.packs == [one: 5] && known.indexes == [two: 5])
        #expect(known.manifests == [2, 9] && known.holds == [2])
        #expect(known.sessions == [4: [.begun, .decided]] && known.collections == [1: [.ended]])
        let tenant = "\(layout.tenant)"
        let number = "00000000000000000001"
        for strange in [
            "\(tenant)/packs/ff/\(one)", "\(tenant)/packs/\(one)", "\(tenant)/indexes/1",
            "\(tenant)/manifests/1", "\(tenant)/manifests/\(number)-1",
            "\(tenant)/sessions/\(number)", "\(tenant)/sessions/\(number)-4",
            "\(tenant)/more/\(number)", "\(tenant)/log/\(number)", "\(tenant)/log/a-1/\(number)",
            "repository",
        ] {
            let name = try #require(ObjectName(strange))
            #expect(throws: Inventory.Strange(name: strange)) { try inventory([name]) }
        }
        var listing = ObjectListing()
        listing.strangers = ["Readme"]
        #expect(throws: Inventory.Strange(name: "Readme")) { try Inventory(listing, of: layout) }
    }
}
