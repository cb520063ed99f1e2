import Admin
import Testing

@testable import Holdfast

@Suite("The status screen")
struct ScreenTests {
    private func lines(_ report: StatusReport, width: Int = 80, height: Int? = 24) -> [Line] {
        StatusScreen(report, now: Samples.now, width: width, height: height).lines
    }

    private func text(_ report: StatusReport) -> String {
        lines(report).map(\.text).joined(separator: "\n")
    }

    @Test func `a healthy mesh`() {
        #expect(
            text(Samples.healthy) == """
                OK: us-east-1 is primary (epoch 3), 3 of 3 nodes, quorum 2, nothing lagging
                node 1, us-east-1 (data)   cluster 5f0c3a7e   holdfast 0.1.0   up 3h 12m

                REGION     NODE  ROLE     STATE  LINK  ROUND TRIP  BEHIND
                us-east-1     1  primary  self   -              -  nothing
                us-west-2     2  data     alive  up         61 ms  nothing
                eu-west-1     3  data     alive  up        8.3 ms  4 entries, 16.2 KiB

                VOLUME      SIZE  MODE   STATE  CLIENTS  UNCOMMITTED
                db        10 GiB  sync   open         1      1.5 MiB
                scratch  512 MiB  async  open         0          0 B

                ALARMS none
                LAST TAKEOVER switchover, epoch 3: us-west-2 -> us-east-1, 3h 10m ago
                  2026-11-24 06:02:00 UTC, 67 ms in all: drain 12 ms, open 55 ms
                """)
    }

    @Test func `a former primary that is dead`() {
        #expect(
            text(Samples.oneDead) == """
                DEGRADED: us-west-2 is primary (epoch 4), 2 of 3 nodes, quorum 2; us-east-1
                  (node 1) is dead
                node 2, us-west-2 (data)   cluster 5f0c3a7e   holdfast 0.1.0   up 3h 12m

                REGION     NODE  ROLE     STATE  LINK  ROUND TRIP  BEHIND
                us-east-1     1  data     dead   down           -  13402 entries, 52 MiB
                us-west-2     2  primary  self   -              -  nothing
                eu-west-1     3  data     alive  up        8.3 ms  4 entries, 16.2 KiB

                VOLUME      SIZE  MODE   STATE  CLIENTS  UNCOMMITTED
                db        10 GiB  sync   open         1      1.5 MiB
                scratch  512 MiB  async  open         0          0 B

                ALARMS none
                LAST TAKEOVER takeover, epoch 4: us-east-1 -> us-west-2, 2m 14s ago
                  2026-11-24 09:09:46 UTC, 432 ms in all: detect 214 ms, elect 38 ms,
                  lease 151 ms, promote 21 ms, open 7.5 ms
                """)
    }

    @Test func `a member that copies what it missed says how much is left`() {
        var report = Samples.healthy
        report.members[2].resync = ResyncReport(percent: 42, bytesLeft: 3_328_599_654)
        #expect(Verdict(of: report).text.hasSuffix("eu-west-1 copies what it missed"))
        let row = lines(report).map(\.text).first { $0.hasPrefix("eu-west-1") }
        #expect(row?.hasSuffix("resync 42 %, 3 GiB left") == true)
        report.members[2].resync = ResyncReport()
        #expect(StatusScreen.lag(of: report.members[2]) == "resync")
    }

    @Test
    func `a mesh that is being upgraded says who holds it back, and one that is not says nothing`()
    {
        var report = Samples.healthy
        for (at, speaks) in [2, 2, 1].enumerated() { report.members[at].speaks = UInt64(speaks) }
        report.level = LevelReport(mesh: 1, members: report.members)
        let line = "feature level 1, and 2 once all speak it: eu-west-1 (node 3) speaks 1"
        #expect(lines(report).contains { $0.text == line })
        let members = MembersReport(members: report.members, level: report.level)
        let table = MembersCommand.lines(members).map(\.text)
        #expect(table.contains(line))
        #expect(
            table.prefix(4).map { $0.split(separator: " ").last } == ["LEVEL", "2", "2", "1"])
        report.level = LevelReport(mesh: 2, members: report.members)
        #expect(!lines(report).contains { $0.text.contains("feature level") })
    }

    @Test func `a member that lost writes is in the first line and its own, however near it is`() {
        var report = Samples.healthy
        report.members[2].lagEntries = 0
        report.members[2].lostIndex = 48_000
        let lines = lines(report).map(\.text)
        #expect(
            Verdict(of: report).text
                == "DEGRADED: us-east-1 is primary (epoch 3), 3 of 3 nodes, quorum 2; "
                + "eu-west-1 lost writes")
        let row = lines.first { $0.hasPrefix("eu-west-1") }
        #expect(row?.hasSuffix("lost writes") == true)
    }

    @Test func `a member that was stopped has left`() {
        var report = Samples.oneDead
        report.members[0].liveness = .left
        #expect(Verdict(of: report).sentence.hasSuffix("us-east-1 (node 1) has left"))
    }

    @Test func `no quorum`() {
        #expect(
            text(Samples.noQuorum) == """
                NO QUORUM: node 2 reaches 1 of 3 voters and 2 are needed: nothing can be
                  written; us-east-1 (node 1) is dead and eu-west-1 (node 3) is suspect
                node 2, us-west-2 (data)   cluster 5f0c3a7e   holdfast 0.1.0   up 3h 12m

                REGION     NODE  ROLE         STATE    LINK  ROUND TRIP  BEHIND
                us-east-1     1  data         dead     down           -  ?
                us-west-2     2  was primary  self     -              -  nothing
                eu-west-1     3  data         suspect  down           -  ?

                VOLUME      SIZE  MODE   STATE   CLIENTS  UNCOMMITTED
                db        10 GiB  sync   closed        0      1.5 MiB
                scratch  512 MiB  async  closed        0          0 B

                ALARMS none
                LAST TAKEOVER takeover, epoch 4: us-east-1 -> us-west-2, 2m 14s ago
                  2026-11-24 09:09:46 UTC, 432 ms in all: detect 214 ms, elect 38 ms,
                  lease 151 ms, promote 21 ms, open 7.5 ms
                """)
    }

    @Test func `a witness's own screen`() {
        #expect(
            text(Samples.witness) == """
                OK: us-east-1 is primary (epoch 3), 3 of 3 nodes, quorum 2, lag known to node 1
                node 3, eu-west-1 (witness)   cluster 5f0c3a7e   holdfast 0.1.0   up 3h 12m

                REGION     NODE  ROLE     STATE  LINK  ROUND TRIP  BEHIND
                us-east-1     1  primary  alive  up        412 us  ?
                us-west-2     2  data     alive  up         61 ms  ?
                eu-west-1     3  witness  self   -              -  -

                VOLUMES none: a witness keeps none

                ALARMS none
                LAST TAKEOVER switchover, epoch 3: us-west-2 -> us-east-1, 3h 10m ago
                  2026-11-24 06:02:00 UTC, 67 ms in all: drain 12 ms, open 55 ms
                """)
    }

    @Test func `a takeover under way`() {
        #expect(
            text(Samples.takingOver) == """
                TAKING OVER: us-east-1 (epoch 3) is dead; another region is becoming primary
                node 2, us-west-2 (data)   cluster 5f0c3a7e   holdfast 0.1.0   up 3h 12m

                REGION     NODE  ROLE         STATE  LINK  ROUND TRIP  BEHIND
                us-east-1     1  was primary  dead   down           -  13402 entries, 52 MiB
                us-west-2     2  data, leads  self   -              -  nothing
                eu-west-1     3  data         alive  up        8.3 ms  4 entries, 16.2 KiB

                VOLUME      SIZE  MODE   STATE   CLIENTS  UNCOMMITTED
                db        10 GiB  sync   closed        0      1.5 MiB
                scratch  512 MiB  async  closed        0          0 B

                ALARMS none
                LAST TAKEOVER none
                """)
    }

    @Test func `alarms with what to do`() {
        #expect(
            text(Samples.diskFull) == """
                DEGRADED: us-east-1 is primary (epoch 3), 3 of 3 nodes, quorum 2; 2 alarms
                node 1, us-east-1 (data)   cluster 5f0c3a7e   holdfast 0.1.0   up 3h 12m

                REGION     NODE  ROLE     STATE  LINK  ROUND TRIP  BEHIND
                us-east-1     1  primary  self   -              -  nothing
                us-west-2     2  data     alive  up         61 ms  nothing
                eu-west-1     3  data     alive  up        8.3 ms  4 entries, 16.2 KiB

                VOLUME      SIZE  MODE   STATE  CLIENTS  UNCOMMITTED
                db        10 GiB  sync   open         1      1.5 MiB
                scratch  512 MiB  async  open         0          0 B

                CRITICAL disk-full: writes wait: /var/lib/holdfast has no space left for
                  segment-42
                  do: free space on that file system; the writes go on by themselves
                WARNING certificate-expires: this node's certificate ends in 6 days
                  do: run `holdfast cert renew` and copy the files here
                LAST TAKEOVER switchover, epoch 3: us-west-2 -> us-east-1, 3h 10m ago
                  2026-11-24 06:02:00 UTC, 67 ms in all: drain 12 ms, open 55 ms
                """)
    }

    @Test(arguments: [
        Samples.healthy, Samples.oneDead, Samples.noQuorum, Samples.witness, Samples.takingOver,
        Samples.diskFull, Samples.crowded,
    ])
    func `every situation fits on 80 columns and 24 lines`(report: StatusReport) {
        #expect(lines(report).count <= 24)
        #expect(lines(report).allSatisfy { $0.text.count <= 80 })
    }

    @Test(arguments: [40, 60, 80, 200], [10, 24, 60])
    func `no window makes a line too long or one too many`(width: Int, height: Int) {
        let lines = lines(Samples.crowded, width: width, height: height)
        #expect(lines.count <= height && lines.allSatisfy { $0.text.count <= width })
    }

    @Test func `what does not fit is counted, and without a height all is shown`() {
        let shown = text(Samples.crowded)
        #expect(shown.contains("more: holdfast volume list"))
        #expect(shown.contains("+ 2 more: holdfast status -o json"))
        let all = lines(Samples.crowded, height: nil).map(\.text)
        #expect(
            Samples.crowded.volumes.allSatisfy { volume in
                all.contains { $0.hasPrefix(volume.name + " ") }
            })
        #expect(all.count { $0.hasPrefix("WARNING ") } == 5)
    }

    @Test func `a takeover whose length another node measured is told without one`() {
        var report = Samples.healthy
        report.takeovers[0].phases = []
        #expect(
            text(report).hasSuffix(
                """
                LAST TAKEOVER switchover, epoch 3: us-west-2 -> us-east-1, 3h 10m ago
                  2026-11-24 06:02:00 UTC, its length is known to us-east-1
                """))
    }

    @Test func `a primary's return after its restart is no switchover`() {
        var report = Samples.healthy
        report.takeovers[0].reason = .restart
        report.takeovers[0].from = "us-east-1"
        #expect(
            text(report).contains(
                "LAST TAKEOVER restart, epoch 3: us-east-1 is primary again, 3h 10m ago"))
    }

    @Test func `a follower that has not answered yet is told without numbers`() {
        let follower = FollowerReport(
            node: 2, feeding: .probe, matchIndex: nil, nextIndex: 9, inFlightBytes: 0,
            lagEntries: nil, heardMilliseconds: nil)
        let lines = RaftCommand.lines(
            RaftReport(
                node: 1, leader: 1, standing: Samples.standing(.leader), voters: [1, 2],
                followers: [follower]))
        #expect(
            lines.last?.text
                == "   2  probe        ?     9        0 B       ?  not yet           -    -")
        let writes = WriteLagReport(
            count: 9, p50Microseconds: 2_000, p99Microseconds: 11_951, maxMicroseconds: 12_000)
        var told = follower
        told.writes = writes
        let next = RaftCommand.lines(
            RaftReport(
                node: 1, leader: 1, standing: Samples.standing(.leader), voters: [1, 2],
                followers: [told]))
        #expect(next.last?.text.hasSuffix("not yet      2.0 ms  12.0 ms") == true)
    }

    @Test func `the first line's colour says the state as well`() {
        #expect(lines(Samples.healthy).first?.tone == .good)
        #expect(lines(Samples.oneDead).first?.tone == .warning)
        #expect(lines(Samples.noQuorum).first?.tone == .bad)
    }
}
