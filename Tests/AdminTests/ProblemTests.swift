import Admin
import Foundation
import Testing

private let refusals: [AdminRefused] = [
    .mesh(.noQuorum(reachable: 1, needed: 2)), .mesh(.notPrimary(primary: "us-east-1")),
    .mesh(.timedOut(doing: "creating db", seconds: 15)), .mesh(.overtaken(why: "epoch 4 began")),
    .mesh(.primaryAway(last: "us-east-1")),
    .node(.busy(doing: "draining its exports")), .node(.witness(cannot: "keeps no volumes")),
    .node(.stopping), .node(.diskFull(why: "cannot write segment-3: no space left")),
    .node(.entriesAbsent(first: 7, last: 9)), .node(.mishap(why: "cannot read segment-3")),
    .volume(.exists(name: "db")), .volume(.unknown(name: "db", known: [])),
    .volume(.nameUnlawful(name: "D B", expected: "1 to 63 of a-z 0-9")),
    .volume(.sizeUnlawful(byteCount: 5, expected: "a multiple of 4096")),
    .volume(.inUse(name: "db", clients: 2)), .volume(.tooMany(limit: 64)),
    .region(.unknown(name: "mars", known: ["a", "b"])),
    .region(.notReady(name: "b", why: "it lags 312 entries behind")),
    .region(.isPrimary(name: "a")), .alarm(.endsByItself(name: "disk-full")),
    .alarm(.unknown(name: "x", known: ["disk-full"])),
]

@Suite("A refusal becomes a problem (RFC 9457)")
struct ProblemTests {
    @Test func `each refusal has a code of its own`() {
        #expect(Set(refusals.map { Problem($0).code }).count == refusals.count)
    }

    @Test(arguments: refusals)
    func `a problem is an HTTP error that says what and what to do`(refused: AdminRefused) {
        let problem = Problem(refused)
        #expect((400...599).contains(problem.status))
        #expect(problem.type == "urn:holdfast:problem:\(problem.code)")
        #expect(!problem.title.isEmpty && problem.detail.hasSuffix(".") || problem.status >= 500)
        #expect(problem.remedy.hasSuffix("."))
    }

    @Test func `who misspells a volume is told those there are, up to a bound`() {
        func remedy(_ count: Int) -> String {
            let known = (0..<count).map { "v\($0)" }
            return Problem(.volume(.unknown(name: "x", known: known))).remedy
        }
        #expect(remedy(0) == "See `holdfast volume list`.")
        #expect(remedy(2) == "Use one of: v0, v1.")
        #expect(remedy(Problem.volumesNamedMax).hasSuffix("v15."))
        #expect(remedy(18).hasSuffix("v15 and 2 more; see `holdfast volume list`."))
    }

    @Test func `only what a quorum would cure counts as want of quorum`() {
        let codes = refusals.map { Problem($0) }.filter(\.isForWantOfQuorum).map(\.code)
        #expect(codes == ["no-quorum", "timed-out", "overtaken", "primary-away"])
    }
}

@Suite("Why there is a new primary")
struct TakeoverReasonTests {
    @Test func `a primary that follows itself was restarted, whatever gave its seat up`() {
        #expect(TakeoverReport.Reason.switchover.following(itself: true) == .restart)
        #expect(TakeoverReport.Reason.takeover.following(itself: true) == .restart)
        #expect(TakeoverReport.Reason.start.following(itself: true) == .start)
        for reason in [TakeoverReport.Reason.switchover, .takeover, .start] {
            #expect(reason.following(itself: false) == reason)
        }
    }
}

@Suite("Which entries a query of the log means")
struct LogQueryTests {
    @Test func `without bounds it means the newest`() {
        #expect(LogQuery(max: 10).indexes(first: 5, last: 100) == 91...100)
        #expect(LogQuery(max: 10).indexes(first: 95, last: 100) == 95...100)
    }

    @Test func `from a bound it means the entries that follow`() {
        #expect(LogQuery(from: 20, max: 10).indexes(first: 5, last: 100) == 20...29)
        #expect(LogQuery(from: 20, to: 22, max: 10).indexes(first: 5, last: 100) == 20...22)
        #expect(LogQuery(from: 1, max: 10).indexes(first: 5, last: 100) == 5...14)
    }

    @Test func `up to a bound it means the entries before`() {
        #expect(LogQuery(to: 50, max: 10).indexes(first: 5, last: 100) == 41...50)
        #expect(LogQuery(to: .max, max: 10).indexes(first: 5, last: 100) == 91...100)
    }

    @Test func `bounds beside the log are refused with what it holds, and an empty log is not`()
        throws
    {
        for query in [LogQuery(from: 101), LogQuery(to: 4), LogQuery(from: 1, to: 4)] {
            #expect(throws: AdminRefused.node(.entriesAbsent(first: 5, last: 100))) {
                try query.admitted(first: 5, last: 100)
            }
        }
        #expect(try LogQuery(from: 1, to: 5).admitted(first: 5, last: 100) == 5...5)
        #expect(try LogQuery().admitted(first: 5, last: 4) == nil)
        let empty = Problem(.node(.entriesAbsent(first: 5, last: 4)))
        #expect(empty.detail == "This node's log holds no entries; its next one is 5.")
    }

    @Test func `it means none where the log has none`() {
        #expect(LogQuery(from: 101).indexes(first: 5, last: 100) == nil)
        #expect(LogQuery(to: 4).indexes(first: 5, last: 100) == nil)
        #expect(LogQuery().indexes(first: 1, last: 0) == nil)
        #expect(LogQuery(from: 9, to: 8).indexes(first: 1, last: 20) == nil)
    }
}

@Suite("The status on the wire")
struct StatusWireTests {
    @Test func `what is absent is left out, and reads back as absent`() throws {
        let report = StatusReport(
            node: 3, region: "mid", role: .witness, cluster: "00", version: "1", pid: 7,
            startedAt: 1, leader: nil,
            raft: RaftStanding(
                role: .follower, term: .max, commit: 0, applied: 0,
                last: PositionReport(index: 0, term: 0), durable: 0,
                base: PositionReport(index: 0, term: 0), logBytes: 0),
            primary: nil, quorum: QuorumReport(voters: 3, needed: 2, reachable: 1, ok: false),
            preferredRegion: nil, members: [])
        let bytes = try JSONEncoder().encode(report)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(!text.contains("leader\":") && !text.contains("primary\":"))
        #expect(text.contains("\"term\":18446744073709551615"))
        #expect(try JSONDecoder().decode(StatusReport.self, from: bytes) == report)
    }
}
