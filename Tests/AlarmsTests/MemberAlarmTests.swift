import Admin
import Alarms
import Mesh
import Testing

@Suite("Alarms of who is a member")
struct MemberAlarmTests {
    private var sight: Sight {
        Sight(
            own: NodeID(3), region: "west", data: "/d", now: 1_000,
            quorum: QuorumReport(voters: 3, needed: 2, reachable: 3, ok: true),
            clusterFile: ClusterPrint(members: 1, lease: .milliseconds(400)))
    }

    private func wish(stood seconds: UInt64?, isJoint: Bool = false) -> WishReport {
        WishReport(
            change: "add node 4 in north", coming: 4, leaving: nil, since: 9, isJoint: isJoint,
            waitsFor: "nothing is heard of node 4", stoodSeconds: seconds)
    }

    @Test func `a removed node says so, and one that waits says that`() {
        var sight = sight
        #expect(sight.alarms == [])
        sight.membership = .removed
        #expect(sight.alarms.map(\.code) == ["not-a-member"])
        #expect(sight.alarms.first?.severity == .critical)
        sight.membership = .awaited
        #expect(sight.alarms.map(\.severity) == [.info])
        #expect(sight.alarms.first?.remedy.contains("holdfast members add 3") == true)
    }

    @Test func `a change that stands is told with its reason, one that comes nearer is not`() {
        var sight = sight
        sight.wish = wish(stood: Sight.wishStoodSecondsMax - 1)
        #expect(sight.alarms == [])
        sight.wish = wish(stood: Sight.wishStoodSecondsMax)
        #expect(sight.alarms.map(\.code) == ["members-stand"])
        #expect(sight.alarms.first?.text.contains("nothing is heard of node 4") == true)
        #expect(sight.alarms.first?.remedy.contains("cancel") == true)
        sight.wish = wish(stood: 99, isJoint: true)
        #expect(sight.alarms.first?.remedy.contains("cancel") == false)
        sight.wish = wish(stood: nil)
        #expect(sight.alarms == [], "only the leader knows")
    }

    @Test func `who is no member is not missed`() {
        var sight = sight
        var stranger = Sight.Peer(
            node: NodeID(7), region: "far", address: "f:1", standing: .silent)
        sight.peers = [stranger]
        #expect(sight.alarms.map(\.code) == ["member-dead"])
        stranger.isMember = false
        sight.peers = [stranger]
        #expect(sight.alarms.map(\.code) == ["not-a-member"])
        #expect(sight.alarms.first?.severity == .info)
    }
}
