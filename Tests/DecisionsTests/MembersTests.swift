import Decisions
import Mesh
import Testing

private let north = RegionName("eu-north-1") ?? { preconditionFailure("a lawful name") }()

@Suite("Members as they are wished")
struct MembersTests {
    private let fresh = Newcomer(node: NodeID(4), region: north)
    private let sentinel = Newcomer(node: NodeID(5), region: north, isWitness: true)

    /// Nodes 1 and 2 with data, 3 as the witness.
    private var trio: Decisions {
        Decisions(
            seats: Decisions.pair.image.seats,
            witness: Decisions.Seat(node: NodeID(3), region: north))
    }

    private func roll(_ data: UInt64..., learning: [UInt64] = [], joint: Bool = false)
        -> Decisions.Deed
    {
        .membership(
            Roll(
                data: data.map { NodeID($0) }, learners: learning.map { NodeID($0) },
                isJoint: joint))
    }

    @Test func `a wish stands until the new voters decide alone`() {
        var decisions = trio
        let change = MemberChange.add(fresh)
        #expect(decisions.next(.command(.changeMembers(change))) == .wished(change))
        #expect(decisions.next(roll(1, 2, learning: [4])) == .nothing)
        #expect(decisions.wish == Wish(change, since: LogIndex(1)))
        #expect(decisions.next(roll(1, 2, 4, joint: true)) == .nothing)
        #expect(decisions.wish?.joint == LogIndex(3))
        #expect(decisions.next(roll(1, 2, 4)) == .membersChanged(change))
        #expect(decisions.wish == nil)
        #expect(decisions.seats.map(\.node) == [1, 2, 4].map { NodeID($0) })
        #expect(decisions.former.isEmpty)
    }

    @Test func `who votes in a joint entry already can be primary`() {
        var decisions = trio
        _ = decisions.next(.command(.changeMembers(.add(fresh))))
        _ = decisions.next(roll(1, 2, learning: [4]))
        #expect(decisions.promote(4, 1, .firstPrimary).refusal == .unknownNode(NodeID(4)))
        _ = decisions.next(roll(1, 2, 4, joint: true))
        #expect(decisions.promote(4, 1, .firstPrimary).refusal == nil)
    }

    @Test func `an id is never used again, neither a removed one's nor a learner's`() {
        var decisions = trio
        let swap = MemberChange.replace(NodeID(2), with: fresh)
        _ = decisions.next(.command(.changeMembers(swap)))
        _ = decisions.next(roll(1, 2, learning: [4]))
        _ = decisions.next(roll(1, 4, joint: true))
        #expect(decisions.next(roll(1, 4)) == .membersChanged(swap))
        #expect(decisions.former == [NodeID(2)])
        let back = MemberChange.add(Newcomer(node: NodeID(2), region: west))
        #expect(
            decisions.next(.command(.changeMembers(back))).refusal == .memberFormer(NodeID(2)))

        let other = Newcomer(node: NodeID(6), region: west)
        _ = decisions.next(.command(.changeMembers(.add(other))))
        _ = decisions.next(roll(1, 4, learning: [6]))
        _ = decisions.next(.command(.cancelMembers))
        #expect(
            decisions.next(.command(.changeMembers(.add(other)))).refusal
                == .memberExists(NodeID(6)), "it still learns")
        _ = decisions.next(roll(1, 4))
        #expect(
            decisions.next(.command(.changeMembers(.add(other)))).refusal
                == .memberFormer(NodeID(6)))
    }

    @Test func `one wish at a time, and none is taken back once it is joint`() {
        var decisions = trio
        let change = MemberChange.add(fresh)
        #expect(decisions.next(.command(.cancelMembers)).refusal == .noWish)
        _ = decisions.next(.command(.changeMembers(change)))
        #expect(
            decisions.next(.command(.changeMembers(.remove(NodeID(2))))).refusal
                == .wishPending(change))
        #expect(decisions.next(.command(.cancelMembers)) == .cancelled(change))
        #expect(decisions.wish == nil)
        _ = decisions.next(.command(.changeMembers(change)))
        _ = decisions.next(roll(1, 2, 4, joint: true))
        #expect(decisions.next(.command(.cancelMembers)).refusal == .wishIsJoint(change))
    }

    @Test func `what can't be is refused before anybody works on it`() {
        var decisions = trio
        func refusal(_ change: MemberChange) -> Refusal? {
            decisions.next(.command(.changeMembers(change))).refusal
        }
        #expect(refusal(.remove(NodeID(9))) == .memberUnknown(NodeID(9)))
        #expect(refusal(.add(sentinel)) == .witnessExists(NodeID(3)))
        #expect(refusal(.replace(NodeID(3), with: fresh)) == .otherRole(NodeID(3)))
        #expect(refusal(.replace(NodeID(2), with: sentinel)) == .witnessExists(NodeID(3)))
        #expect(
            refusal(.add(Newcomer(node: NodeID(3), region: north))) == .memberExists(NodeID(3)))
        _ = decisions.promote(1, 1, .firstPrimary)
        #expect(
            decisions.next(.command(.changeMembers(.remove(NodeID(1))))).refusal
                == .memberIsPrimary(NodeID(1)))
        var alone = Decisions(seats: [Decisions.Seat(node: NodeID(1), region: east)])
        #expect(
            alone.next(.command(.changeMembers(.remove(NodeID(1))))).refusal
                == .lastDataMember(NodeID(1)))
        var full = Decisions(
            seats: (1...7).map { Decisions.Seat(node: NodeID($0), region: east) })
        #expect(
            full.next(
                .command(.changeMembers(.add(Newcomer(node: NodeID(8), region: east))))
            ).refusal == .tooManyMembers(limit: 7))
    }

    @Test func `a witness that votes is swapped by the voters, one that stands by at once`() {
        var decisions = trio
        let swap = MemberChange.replace(NodeID(3), with: sentinel)
        #expect(decisions.next(.command(.changeMembers(swap))) == .wished(swap))
        _ = decisions.next(roll(1, 2, joint: true))
        #expect(decisions.witness?.node == NodeID(3))
        #expect(decisions.next(roll(1, 2)) == .membersChanged(swap))
        #expect(decisions.witness?.node == NodeID(5))
        #expect(decisions.former == [NodeID(3)])

        var odd = Decisions(
            seats: trio.seats + [Decisions.Seat(node: NodeID(4), region: north)],
            witness: trio.witness)
        #expect(odd.next(.command(.changeMembers(swap))) == .membersChanged(swap))
        #expect(odd.wish == nil && odd.witness?.node == NodeID(5))
        let gone = MemberChange.remove(NodeID(5))
        #expect(odd.next(.command(.changeMembers(gone))) == .membersChanged(gone))
        #expect(odd.witness == nil && odd.former == [NodeID(3), NodeID(5)])
    }

    @Test func `a region that has nobody any more is not preferred`() {
        var decisions = trio
        _ = decisions.next(.command(.prefer(west)))
        _ = decisions.next(.command(.changeMembers(.remove(NodeID(2)))))
        _ = decisions.next(roll(1, joint: true))
        #expect(decisions.preferred == west)
        _ = decisions.next(roll(1))
        #expect(decisions.preferred == nil)
    }
}
