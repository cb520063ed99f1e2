internal import Admin
internal import ArgumentParser
internal import Control

struct MembersCommand: AskingCommand {
    static let configuration = CommandConfiguration(
        commandName: "members", abstract: "Lists the members as this node sees them.")

    @ParentCommand var root: Holdfast
    @OptionGroup var options: OutputOptions

    func run() async throws {
        try await ask(.members) { (report: MembersReport) in Self.lines(report) }
    }

    static func lines(_ report: MembersReport) -> [Line] {
        var table = Table([
            ("NODE", .right), ("REGION", .left), ("ROLE", .left), ("ADDRESS", .left),
            ("STATE", .left), ("LINK", .left), ("ROUND TRIP", .right), ("MATCH", .right),
            ("BEHIND", .left),
        ])
        for member in report.members {
            table.add(
                [
                    "\(member.node)", member.region, member.role.rawValue, member.address,
                    member.liveness.rawValue, member.isSelf ? "-" : member.linkUp ? "up" : "down",
                    member.roundTripMicroseconds.map(Words.microseconds) ?? "-",
                    member.matchIndex.map(String.init) ?? "-", StatusScreen.lag(of: member),
                ], member.isUp ? .plain : .bad)
        }
        let refusals = report.members.compactMap { member in
            member.lastRefusal.map { Line("node \(member.node) was refused: \($0)", .warning) }
        }
        return table.lines() + refusals
    }
}
