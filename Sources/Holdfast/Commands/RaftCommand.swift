internal import Admin
internal import ArgumentParser
internal import Control

struct RaftCommand: AskingCommand {
    static let configuration = CommandConfiguration(
        commandName: "raft", abstract: "Shows this node's log and, on the leader, its followers.")

    @ParentCommand var root: Holdfast
    @OptionGroup var options: OutputOptions

    func run() async throws {
        try await ask(.raft) { (report: RaftReport) in Self.lines(report) }
    }

    static func lines(_ report: RaftReport) -> [Line] {
        let own = report.standing
        func place(_ position: PositionReport) -> String { "\(position.index)@\(position.term)" }
        let leader = report.leader.map { "node \($0)" } ?? "none"
        let preferred = own.preferred.map(String.init).joined(separator: ", ")
        let voters = report.voters.map(String.init).joined(separator: ", ")
        let learners = report.learners.map(String.init).joined(separator: ", ")
        var lines = [
            Line("node \(report.node) is \(own.role.rawValue) in term \(own.term)", .heading),
            Line("leader     \(leader)"),
            Line("voters     \(voters)" + (learners.isEmpty ? "" : "; learners \(learners)")),
            Line(
                "log        base \(place(own.base)), last \(place(own.last)), "
                    + Words.bytes(own.logBytes)),
            Line("on disk    \(own.durable)"),
            Line("committed  \(own.commit)"),
            Line("applied    \(own.applied)"),
        ]
        if !preferred.isEmpty { lines.append(Line("preferred  \(preferred)")) }
        guard !report.followers.isEmpty else { return lines }
        return lines + [Line("")] + table(of: report.followers).lines()
    }

    private static func table(of followers: [FollowerReport]) -> Table {
        var table = Table([
            ("NODE", .right), ("FEEDING", .left), ("MATCH", .right), ("NEXT", .right),
            ("IN FLIGHT", .right), ("BEHIND", .right), ("HEARD", .right), ("WRITES P50", .right),
            ("P99", .right),
        ])
        for follower in followers {
            table.add([
                "\(follower.node)", follower.feeding.rawValue,
                follower.matchIndex.map(String.init) ?? "?", "\(follower.nextIndex)",
                Words.bytes(follower.inFlightBytes), follower.lagEntries.map(String.init) ?? "?",
                follower.heardMilliseconds.map { "\($0) ms ago" } ?? "not yet",
                length(follower.writes?.p50Microseconds), length(follower.writes?.p99Microseconds),
            ])
        }
        return table
    }

    private static func length(_ microseconds: UInt64?) -> String {
        microseconds.map { "\(($0 + 99) / 1_000).\(($0 + 99) / 100 % 10) ms" } ?? "-"
    }
}
