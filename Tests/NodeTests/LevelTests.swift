import Decisions
import Gossip
import Mesh
import Node
import Testing
import Voting

@Suite("The mesh's feature level rises")
struct LevelTests {
    /// What each node's program speaks, as its next process finds it.
    private final class Releases {
        var speaks: [UInt64: FeatureLevel] = [:]
        func fit(_ settings: inout Node.Settings) {
            settings.speaks = speaks[settings.seat.rawValue] ?? .spoken
        }
    }

    private static let delta = RegionName("delta") ?? { preconditionFailure("a lawful name") }()

    private func trio(_ releases: Releases) throws -> Trio {
        var trio = try Trio { releases.fit(&$0) }
        trio.carriesGossip = true
        return trio
    }

    private func isRaised(_ trio: Trio) -> Bool {
        trio.seats.allSatisfy { $0.node.meshLevel == .spoken }
    }

    private func levels(_ trio: Trio) -> [FeatureLevel] { trio.seats.map(\.node.meshLevel) }

    @Test func `once all speak it`() throws {
        var trio = try trio(Releases())
        #expect(
            trio.run(upTo: .seconds(10)) { isRaised($0) })
        trio.run(.seconds(5))
        for at in 0..<3 {
            let raises = trio.commands(at).filter { $0 == .raiseLevel(.spoken) }
            #expect(raises.count == 1, "proposed once")
            let told = trio.seats[at].happened.count {
                if case .levelRaised(.spoken) = $0 { true } else { false }
            }
            #expect(told == 1)
        }
        // A witness reads no log.
        #expect(trio.seats.allSatisfy { $0.node.voter.toldLevel == .spoken })
    }

    @Test func `not while one speaks less, and whoever needs it is told who`() throws {
        let releases = Releases()
        releases.speaks[3] = .first
        var trio = try trio(releases)
        trio.run(.seconds(10))
        #expect(levels(trio) == [.first, .first, .first])
        let later = try #require(FeatureLevel(3))
        trio.give(0, .operate(Node.OperationID(1), .command(.raiseLevel(later))))
        #expect(
            trio.seats[0].answers[Node.OperationID(1)]
                == .declined(
                    "this needs feature level 2, and the mesh is at 1: node 3 speaks 1"))
        trio.crash(2)
        releases.speaks[3] = .spoken
        try trio.restart(2)
        #expect(
            trio.run(upTo: .seconds(10)) { isRaised($0) })
    }

    @Test func `not by who speaks less itself`() throws {
        let releases = Releases()
        releases.speaks[1] = .first
        var trio = try trio(releases)
        trio.run(.seconds(10))
        #expect(trio.primary == 0 && levels(trio) == [.first, .first, .first])
    }

    /// It may be down because another release is being installed on it.
    @Test func `not while one is silent, whatever it said before`() throws {
        let releases = Releases()
        releases.speaks[2] = .first
        var trio = try trio(releases)
        trio.run(.seconds(8))
        trio.crash(2)
        trio.run(.seconds(6))
        trio.crash(1)
        releases.speaks[2] = .spoken
        try trio.restart(1)
        trio.run(.seconds(8))
        #expect(trio.primary != nil && levels(trio).allSatisfy { $0 == .first })
        try trio.restart(2)
        #expect(
            trio.run(upTo: .seconds(10)) { isRaised($0) })
    }

    /// Somebody may be going back to the former release.
    @Test func `not while one has left, however lately it spoke`() throws {
        let releases = Releases()
        releases.speaks[3] = .first
        var trio = try trio(releases)
        trio.run(.seconds(8))
        trio.give(1, .leave)
        trio.run(.milliseconds(20))
        trio.crash(1)
        trio.crash(2)
        releases.speaks[3] = .spoken
        try trio.restart(2)
        trio.run(.seconds(4))
        #expect(trio.primary != nil && trio.seats[0].node.meshLevel == .first)
        try trio.restart(1)
        #expect(
            trio.run(upTo: .seconds(10)) { isRaised($0) })
    }

    /// With the former release on it again it would be kept out by all who could give it what it lacks.
    @Test func `not while one mends its log`() throws {
        let releases = Releases()
        releases.speaks[3] = .first
        var trio = try trio(releases)
        trio.run(.seconds(8))
        releases.speaks[3] = .spoken
        trio.damage(2)
        trio.run(.seconds(10))
        let heard = trio.seats[0].node.voter.gossip.healthMap[NodeID(3)]
            .flatMap { Report(parsing: $0.bytes) }
        #expect(heard?.isMending == true && heard?.speaks == .spoken)
        #expect(trio.primary != nil && trio.seats[0].node.meshLevel == .first)
        try trio.restart(2)
        #expect(
            trio.run(upTo: .seconds(10)) { isRaised($0) })
    }

    @Test func `and who speaks less from then on stops, and says what to do`() throws {
        let releases = Releases()
        var trio = try trio(releases)
        trio.run(.seconds(10))
        trio.crash(2)
        releases.speaks[3] = .first
        try trio.restart(2)
        #expect(trio.run(upTo: .seconds(2)) { $0.seats[2].halted != nil })
        guard case .levelAhead(let ahead) = trio.seats[2].halted else {
            Issue.record("\(String(describing: trio.seats[2].halted))")
            return
        }
        #expect(ahead.mesh == .spoken && ahead.spoken == .first)
        #expect(ahead.place.hasPrefix("entry ") && trio.seats[2].node.meshLevel == .first)
    }

    @Test func `and a newcomer that speaks less waits, and would stop at its base`() throws {
        let releases = Releases()
        releases.speaks[4] = .first
        var trio = try trio(releases)
        trio.run(.seconds(10))
        try trio.join("delta")
        trio.run(.seconds(3))
        let wish = Command.changeMembers(.add(Newcomer(node: NodeID(4), region: Self.delta)))
        trio.give(0, .operate(Node.OperationID(1), .command(wish)))
        trio.run(.seconds(3))
        #expect(
            trio.seats[0].node.members.waitsFor
                == .lowLevel(NodeID(4), speaks: .first, mesh: .spoken))
        #expect(trio.seats[3].behind == nil && trio.seats[3].halted == nil)
        // A leader that has not heard it yet begins.
        var other = try self.trio(releases)
        other.run(.seconds(10))
        other.carriesGossip = false
        try other.join("delta")
        other.give(0, .operate(Node.OperationID(1), .command(wish)))
        #expect(other.run(upTo: .seconds(5)) { $0.seats[3].halted != nil })
        guard case .levelAhead(let ahead) = other.seats[3].halted else {
            Issue.record("\(String(describing: other.seats[3].halted))")
            return
        }
        #expect(ahead.place.hasPrefix("the base at "))
    }

    @Test
    func `a report of the first release tells none, and of this one behind all else`() {
        let old = Report(
            applied: LogIndex(4), last: LogIndex(9), hasRoom: true, bulletin: [7, 8],
            speaks: .first, mesh: .first)
        let new = Report(
            applied: LogIndex(4), last: LogIndex(9), hasRoom: true, bulletin: [7, 8],
            speaks: .spoken, mesh: .spoken)
        #expect(old.encoded.count == Report.byteCount + 2)
        #expect(new.encoded == [2, 16] + old.encoded.dropFirst(2) + [2, 2])
        #expect(Report(parsing: old.encoded) == old && Report(parsing: new.encoded) == new)
        // Nobody has applied what it does not speak; nothing has two spellings.
        for levels in [[1, 2], [2, 3], [0, 0], [1, 1]] as [[UInt8]] {
            #expect(Report(parsing: [2, 16] + old.encoded.dropFirst(2) + levels) == nil)
        }
        #expect(Report(parsing: [2, 16] + [UInt8](repeating: 0, count: 32) + [2]) == nil)
    }
}
