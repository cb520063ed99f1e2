import Admin
import Mesh
import Testing

@testable import Alarms

@Suite("What happened once is not forgotten before somebody has seen it")
struct IncidentTests {
    private static let node = NodeID(2)

    private func lost(
        _ about: UInt64 = 2, seenBy: UInt64 = 1, at: UInt64 = 1_795_500_000_000
    ) -> Incidents {
        var incidents = Incidents()
        incidents.note(
            .replicaLost, about: NodeID(about), index: LogIndex(48_000), seenBy: NodeID(seenBy),
            at: at)
        return incidents
    }

    private func alarms(_ incidents: Incidents, loss: Sight.Loss? = nil) -> [Alarm] {
        Calm.alarms {
            $0.incidents = incidents
            $0.peers[0].loss = loss
        }
    }

    @Test func `it shows on a node that only heard of it`() {
        var heard = Incidents()
        heard.join(lost())
        let alarms = alarms(heard)
        #expect(alarms.map(\.code) == ["replica-lost"] && alarms[0].severity == .critical)
        #expect(alarms[0].text.hasPrefix("node 2 in region-2 lost writes"))
        #expect(alarms[0].text.contains("up to entry 48000"))
        #expect(alarms[0].text.contains("seen by node 1 on 2026-11-24 06:00 UTC"))
        #expect(alarms[0].remedy.hasSuffix("`holdfast alarm clear replica-lost`"))
        #expect(alarms[0].since == 1_795_500_000)
    }

    @Test func `what is made good is a warning that still has to be cleared`() {
        var incidents = lost()
        incidents.madeGood(Self.node, seenBy: NodeID(3))
        #expect(alarms(incidents).map(\.severity) == [.critical], "another leader's word")
        incidents.madeGood(Self.node, seenBy: NodeID(1))
        #expect(alarms(incidents).map(\.severity) == [.warning])
        #expect(incidents.clear(.replicaLost) == 1)
        #expect(alarms(incidents) == [])
    }

    @Test func `a loss that lasts is told though somebody cleared it, and told once`() {
        let loss = Sight.Loss(acknowledged: LogIndex(48_000), isMadeGood: false)
        var incidents = lost()
        #expect(alarms(incidents, loss: loss).count == 1)
        #expect(incidents.clear(.replicaLost) == 1)
        #expect(alarms(incidents, loss: loss).map(\.severity) == [.critical])
        #expect(alarms(incidents, loss: .init(acknowledged: .zero, isMadeGood: true)) == [])
    }

    @Test func `what is cleared on one node is cleared on all, in whatever order they hear`() {
        let before = lost()
        var cleared = before
        #expect(cleared.clear(.replicaLost) == 1 && cleared.clear(.replicaLost) == 0)
        #expect(cleared.clear(.contradiction) == 0)
        var (one, other) = (before, cleared)
        one.join(cleared)
        other.join(before)
        #expect(one == cleared && other == cleared)
        #expect(one.standing == [])
    }

    @Test func `the same is noted once while it stands, and anew after it was cleared`() {
        var incidents = lost()
        func note(at: UInt64) {
            incidents.note(
                .replicaLost, about: Self.node, index: LogIndex(50_000), seenBy: NodeID(1), at: at)
        }
        note(at: 1_795_500_001_000)
        #expect(incidents.all.count == 1)
        _ = incidents.clear(.replicaLost)
        note(at: 1_795_500_002_000)
        #expect(incidents.all.count == 2 && incidents.standing.count == 1)
    }

    @Test func `a contradiction that several nodes saw is one alarm`() {
        var incidents = Incidents()
        for node in [3, 1] as [UInt64] {
            incidents.note(
                .contradiction, about: Self.node, index: LogIndex(9), seenBy: NodeID(node),
                at: Calm.now * 1_000 + node)
        }
        let alarms = alarms(incidents)
        #expect(alarms.map(\.code) == ["contradiction"] && alarms[0].severity == .critical)
        #expect(alarms[0].text.contains("seen by node 1, 3 on"))
    }

    @Test func `it is bounded, and what nobody has seen is forgotten last`() {
        var incidents = lost(at: 1)
        _ = incidents.clear(.replicaLost)
        incidents.join(lost(at: 2))
        for at in 3...40 as ClosedRange<UInt64> { incidents.join(lost(at: at)) }
        #expect(incidents.all.count == Incidents.countMax)
        #expect(!incidents.all.contains { $0.state == .cleared })
        #expect(incidents.encoded.count <= Incidents.byteCountMax)
    }

    @Test func `a bulletin is read as it was written, and a cut one is refused`() {
        var incidents = lost()
        incidents.join(lost(3, seenBy: 2, at: 5))
        _ = incidents.clear(.contradiction)
        let bulletin = Bulletin(clusterFile: Calm.print, incidents: incidents)
        let bytes = bulletin.encoded
        #expect(Bulletin(parsing: bytes) == bulletin && bytes.count <= Bulletin.byteCountMax)
        for count in 0..<bytes.count {
            #expect(Bulletin(parsing: Array(bytes[..<count])) == nil, "\(count) bytes")
        }
        #expect(Bulletin(parsing: bytes + [1, 2, 3]) == bulletin, "later versions append")
        #expect(Incidents(parsing: incidents.encoded) == incidents)
    }

    @Test func `a kind that this release does not know is passed over`() {
        var bytes = lost().encoded
        bytes[1] = 99
        #expect(Incidents(parsing: bytes) == Incidents())
    }

    @Test(
        arguments: [
            (0, "1970-01-01 00:00 UTC"), (951_782_400, "2000-02-29 00:00 UTC"),
            (1_795_500_000, "2026-11-24 06:00 UTC"), (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] as [(UInt64, String)])
    func `a time is told as the calendar has it`(seconds: UInt64, text: String) {
        #expect(utc(seconds) == text)
    }
}
