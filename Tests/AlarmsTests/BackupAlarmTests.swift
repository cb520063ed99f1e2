import Admin
import Alarms
import Mesh
import Testing

@Suite("Alarms of backups that nobody makes")
struct BackupAlarmTests {
    /// At 2026-11-27 08:30, of a schedule of every hour.
    private static let now: UInt64 = 1_795_768_200
    private static let hour: UInt64 = 3_600
    /// Two slots back, at 07:00.
    private static let before = now - now % hour - hour

    private func alarms(
        newest: UInt64?, failures: UInt64 = 0, holder: UInt64? = nil, hasRepository: Bool = true
    ) -> [Alarm] {
        var sight = Sight(
            own: NodeID(3), region: "west", data: "/d", now: Self.now,
            quorum: QuorumReport(voters: 3, needed: 2, reachable: 3, ok: true),
            clusterFile: ClusterPrint(members: 1, lease: .milliseconds(400)))
        #expect(sight.alarms == [], "without a schedule nothing is missed")
        sight.backups = Sight.Backups(
            newest: newest, overdueBefore: Self.before, next: Self.now + 1_800,
            holder: holder.map { NodeID($0) }, failures: failures,
            failure: failures == 0
                ? nil
                : Sight.Backups.Failure(node: NodeID(2), at: Self.now - 60, words: "no room left"),
            hasRepository: hasRepository)
        return sight.alarms
    }

    @Test func `a backup is overdue once two slots came since, and not before`() {
        #expect(alarms(newest: Self.before) == [])
        let overdue = alarms(newest: Self.before - 1)
        #expect(overdue.map(\.code) == ["backup-overdue"])
        #expect(overdue.map(\.severity) == [.warning])
        #expect(overdue.first?.text.contains("2026-11-27 06:59 UTC") == true)
        #expect(overdue.first?.text.contains("2026-11-27 07:00 UTC") == true)
    }

    @Test func `none at all is told, with who makes one and that this node can't`() {
        let none = alarms(newest: nil, holder: 2, hasRepository: false)
        #expect(none.map(\.code) == ["backup-overdue"])
        for words in ["no backup of this mesh", "node 2 makes one now", "has no `backup` setting"] {
            #expect(none.first?.text.contains(words) == true, "\(words)")
        }
        #expect(alarms(newest: nil).first?.text.contains("setting") == false)
    }

    @Test func `a backup of what is still to come is told too: no slot comes before it`() {
        #expect(alarms(newest: Self.now + Self.hour) == [])
        let ahead = alarms(newest: Self.now + Self.hour + 1)
        #expect(ahead.map(\.code) == ["backup-overdue"])
        #expect(ahead.first?.text.contains("still to come") == true)
    }

    @Test func `tries that fail are told in the last one's words, once they are used up`() {
        #expect(alarms(newest: Self.now, failures: 2) == [])
        let failing = alarms(newest: Self.now, failures: 3)
        #expect(failing.map(\.code) == ["backup-failing"])
        #expect(failing.first?.since == Self.now - 60)
        for words in ["last 3 tries", "node 2: no room left", "2026-11-27 09:00 UTC"] {
            #expect(failing.first?.text.contains(words) == true, "\(words)")
        }
    }
}
