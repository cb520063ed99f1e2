import Admin
import Testing

@testable import Holdfast

@Suite("A volume's size as a person writes it")
struct ByteSizeTests {
    @Test(
        arguments: [
            ("512M", 512 << 20), ("10G", 10 << 30), ("1T", 1 << 40), ("4K", 4_096), ("4096", 4_096),
            ("10GiB", 10 << 30), ("10g", 10 << 30), ("8T", 1 << 43),
        ] as [(String, UInt64)])
    func `a lawful size gives its bytes`(text: String, bytes: UInt64) throws {
        #expect(try ByteSize(parsing: text).byteCount == bytes)
    }

    @Test(arguments: ["", "G", "10Q", "1.5G", "-1G", "10 G", "0x10", "10GG", "١G"])
    func `what is no size is told what one looks like`(text: String) {
        #expect(throws: ByteSize.Refused.misspelled(text)) { try ByteSize(parsing: text) }
    }

    @Test func `a size between two blocks is told the next one up`() {
        #expect(throws: ByteSize.Refused.uneven(10_000)) { try ByteSize(parsing: "10000") }
        #expect(
            ByteSize.Refused.uneven(10_000).description.hasSuffix("next size up is 12288 bytes"))
    }

    @Test(arguments: ["0", "0G", "9T", "99999999999999999999T", "18446744073709551615"])
    func `a size that no volume can have is told the bounds`(text: String) {
        #expect(throws: ByteSize.Refused.outOfRange(text)) { try ByteSize(parsing: text) }
        #expect(ByteSize.Refused.outOfRange(text).description.hasSuffix("has 4 KiB to 8 TiB"))
    }
}

@Suite("Quantities in words")
struct WordsTests {
    @Test(
        arguments: [
            (0, "0 B"), (1_023, "1023 B"), (1_024, "1 KiB"), (1_536, "1.5 KiB"),
            (10 << 30, "10 GiB"),
            ((100 << 20) + (1 << 19), "100 MiB"), (.max, "15.9 EiB"),
        ] as [(UInt64, String)])
    func `bytes take the greatest unit that fits`(count: UInt64, words: String) {
        #expect(Words.bytes(count) == words)
    }

    @Test func `ages take two units`() {
        let ages = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 900_000].map { Words.seconds($0) }
        #expect(
            ages == ["0s", "59s", "1m 0s", "59m 59s", "1h 0m", "23h 59m", "1d 0h", "10d 10h"])
    }

    @Test func `milliseconds that no clock gives are shown as they are`() {
        #expect(Words.milliseconds(.infinity) == "inf ms")
        #expect(Words.milliseconds(-1) == "-1.0 ms")
        #expect(Words.milliseconds(0.25) == "250 us")
    }

    @Test func `a time is said in UTC, and any time can be said`() {
        #expect(Words.time(unixSeconds: 0) == "1970-01-01 00:00:00 UTC")
        #expect(Words.time(unixSeconds: 253_402_300_799) == "9999-12-31 23:59:59 UTC")
        #expect(Words.time(unixSeconds: .max) == "18446744073709551615 s after 1970")
    }
}

@Suite("Lines and tables")
struct LineTests {
    @Test func `text breaks between words and goes on further in`() {
        #expect("one two three".wrapped(to: 8, indent: 2) == ["one two", "  three"])
        #expect("one".wrapped(to: 8) == ["one"])
        #expect("unbreakable".wrapped(to: 8) == ["unbreak…"])
        #expect("a 1\u{a0}ms b".wrapped(to: 5) == ["a", "1 ms", "b"])
        #expect("a b c d e f".wrapped(to: 3, indent: 1) == ["a b", " c", " d", " e", " f"])
    }

    @Test func `columns line up, numbers to the right, nothing trails`() {
        var table = Table([("NAME", .left), ("COUNT", .right), ("WHAT", .left)])
        table.add(["a", "1", "x"])
        table.add(["longer", "12345678", ""])
        #expect(
            table.lines().map(\.text) == [
                "NAME       COUNT  WHAT", "a              1  x", "longer  12345678",
            ])
    }

    @Test func `colour is only added where it is wanted`() {
        #expect(Line("x", .bad).painted(false) == "x")
        #expect(Line("x", .bad).painted(true) == "\u{1b}[1;31mx\u{1b}[0m")
        #expect(Line("x").painted(true) == "x")
    }
}

@Suite("The verdict in one sentence")
struct VerdictTests {
    private func verdict(_ change: (inout StatusReport) -> Void) -> Verdict {
        var report = Samples.healthy
        change(&report)
        return Verdict(of: report)
    }

    @Test func `a primary without its lease does not serve`() {
        #expect(verdict { $0.primary?.acting = false }.state == .takingOver)
    }

    @Test func `a mesh without a primary, or without a leader, does not serve`() {
        #expect(verdict { $0.primary = nil }.state == .takingOver)
        #expect(verdict { $0.leader = nil }.state == .takingOver)
    }

    @Test func `a suspected primary that leads on is not given up yet`() {
        let verdict = verdict { report in
            report.node = 2
            report.leader = 1
            report.members[0].liveness = .suspect
        }
        #expect(verdict.state == .degraded)
    }

    /// Node 2 leads, and looks at the primary on node 1.
    private func elsewhere(_ change: (inout StatusReport) -> Void) -> Verdict {
        verdict { report in
            (report.node, report.leader) = (2, 2)
            report.primary?.acting = false
            change(&report)
        }
    }

    @Test func `a primary that does not lead can renew nothing, and is not in order`() {
        let verdict = elsewhere { $0.primary?.leaseSeen = true }
        #expect(verdict.state == .degraded)
        #expect(
            verdict.sentence.hasSuffix("; node 2 leads, so us-east-1 cannot renew its lease"))
    }

    @Test func `a primary that does not lead and whose lease has lapsed does not serve`() {
        let late = elsewhere { report in
            report.primary?.leaseSeen = false
            report.primary?.renewedMilliseconds = 2_345
        }
        #expect(late.state == .takingOver)
        #expect(
            late.sentence.hasSuffix(
                "and its lease was last seen renewed 2345 ms ago; "
                    + "nobody serves until one region does both"))
        let never = elsewhere { $0.primary?.leaseSeen = false }
        #expect(never.sentence.contains("was never seen renewed by this node"))
    }

    @Test func `a leading primary whose renewals do not come through is not in order`() {
        let verdict = elsewhere { report in
            report.leader = 1
            report.primary?.leaseSeen = false
            report.primary?.renewedMilliseconds = 900
        }
        #expect(verdict.state == .degraded)
        #expect(verdict.sentence.hasSuffix("; its lease was last seen renewed 900 ms ago"))
        #expect(
            elsewhere {
                $0.leader = 1
                $0.primary?.leaseSeen = true
            }.state == .ok)
    }

    @Test func `a seat that was given up is not called the first`() {
        let verdict = verdict { $0.primary = nil }
        #expect(
            verdict.sentence
                == "us-east-1 gave the seat up (epoch 3); the next region is taking it")
        let first = self.verdict { report in
            report.primary = nil
            report.takeovers = []
        }
        #expect(first.sentence == "no region is primary yet; the first one is being chosen")
    }

    @Test func `a quorum without a leader is no lack of voters`() {
        let verdict = verdict { report in
            report.leader = nil
            report.quorum.ok = false
        }
        #expect(verdict.state == .takingOver)
        #expect(verdict.sentence == "no leader is elected; us-east-1 (epoch 3) was primary")
    }

    @Test func `a witness does not pretend to know the primary`() {
        func seen(leader: UInt64) -> Verdict {
            var report = Samples.witness
            (report.primary, report.takeovers, report.leader) = (nil, [], leader)
            return Verdict(of: report)
        }
        #expect(seen(leader: 1).state == .ok)
        #expect(seen(leader: 1).sentence.hasPrefix("a witness does not know the primary, 3 of 3"))
        #expect(seen(leader: 3).state == .takingOver)
    }

    @Test func `a lag that is not known yet is not called none`() {
        let verdict = verdict { $0.members[1].lagEntries = nil }
        #expect(verdict.state == .ok)
        #expect(verdict.sentence.hasSuffix("quorum 2, lag of us-west-2 not known yet"))
    }

    @Test func `lag counts from the limit on`() {
        let limit = MemberReport.lagTolerated
        #expect(verdict { $0.members[1].lagEntries = limit }.state == .ok)
        #expect(verdict { $0.members[1].lagEntries = limit + 1 }.state == .degraded)
    }

    @Test func `a lost link, a closed volume and an alarm each count`() {
        #expect(verdict { $0.members[1].linkUp = false }.sentence.hasSuffix("no link to us-west-2"))
        #expect(verdict { $0.volumes[0].isOpen = false }.sentence.hasSuffix("volume db is closed"))
        let alarm = Alarm(code: "x", severity: .warning, text: "", remedy: "")
        #expect(verdict { $0.alarms = [alarm] }.sentence.hasSuffix("1 alarm"))
        let note = Alarm(code: "x", severity: .info, text: "", remedy: "")
        #expect(verdict { $0.alarms = [note] }.state == .ok)
    }
}
