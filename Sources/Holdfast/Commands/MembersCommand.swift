internal import Admin
internal import ArgumentParser
internal import Control

struct MembersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "members", abstract: "Lists the members, and changes them.",
        discussion: """
            The node that comes has to stand in the cluster file of every node, reloaded by SIGHUP, \
            and to run with `founding: false`. It copies what it lacks and votes from then on; \
            `holdfast members` says what a change waits for. See docs/members.md.
            """,
        subcommands: [List.self, Add.self, Remove.self, Replace.self, Cancel.self],
        defaultSubcommand: List.self)

    struct List: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the members as this node sees them, and how they are to change.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions

        func run() async throws {
            try await ask(.members) { (report: MembersReport) in MembersCommand.lines(report) }
        }
    }

    struct Add: AskingCommand {
        static let configuration = CommandConfiguration(abstract: "Makes a node a member.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @Argument(help: "Its id, as the cluster file has it.") var node: UInt64
        @Flag(help: "It is to be the witness.") var witness = false

        func run() async throws {
            let request = MembersRequest(coming: node, witness: witness)
            try await ask(.changeMembers(request), MembersCommand.said)
        }
    }

    struct Remove: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets a member go, for good: its id is never used again.",
            discussion: "The mesh then survives the loss of fewer members, or of none.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @OptionGroup var confirmation: ConfirmationOptions
        @Argument(help: "Its id.") var node: UInt64

        func run() async throws {
            let report = try await look()
            let known = report.members.map(\.node)
            guard let member = report.members.first(where: { $0.node == node }) else {
                throw refuse(.member(.unknown(node: node, known: known)))
            }
            try confirmation.demand(
                member.region, "remove node \(node) in \(member.region) for good")
            try await ask(
                .changeMembers(MembersRequest(leaving: node)), MembersCommand.said)
        }
    }

    struct Replace: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Puts another node in the place of a member, in one step.",
            discussion: "The member that goes may be dead. Its id is never used again.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @Argument(help: "The id of the member that goes.") var old: UInt64
        @Option(name: .customLong("with"), help: "The id of the node that comes.")
        var new: UInt64

        func run() async throws {
            let witness = try await look().members.first { $0.node == old }?.role == .witness
            try await ask(
                .changeMembers(MembersRequest(coming: new, leaving: old, witness: witness)),
                MembersCommand.said)
        }
    }

    struct Cancel: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Takes a change of the members back, while it has not begun to vote.")

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions

        func run() async throws {
            try await ask(.cancelMembers) { (done: MembersChangeReport) in
                [Line("taken back: \(done.change)", .good)]
            }
        }
    }

    static func said(_ done: MembersChangeReport) -> [Line] {
        done.isDone
            ? [Line("done: \(done.change)", .good)]
            : [
                Line("the mesh will \(done.change)", .good),
                Line("  `holdfast members` on the leader says what it waits for"),
            ]
    }

    static func lines(_ report: MembersReport) -> [Line] {
        var table = Table([
            ("NODE", .right), ("REGION", .left), ("ROLE", .left), ("ADDRESS", .left),
            ("VOTE", .left), ("STATE", .left), ("LINK", .left), ("ROUND TRIP", .right),
            ("MATCH", .right), ("BEHIND", .left), ("LEVEL", .right),
        ])
        for member in report.members {
            table.add(
                [
                    "\(member.node)", member.region, member.role.rawValue, member.address,
                    member.vote?.words ?? "?", member.liveness.rawValue,
                    member.isSelf ? "-" : member.linkUp ? "up" : "down",
                    member.roundTripMicroseconds.map(Words.microseconds) ?? "-",
                    member.matchIndex.map(String.init) ?? "-", StatusScreen.lag(of: member),
                    member.speaks.map(String.init) ?? "?",
                ], member.isUp || !member.counts ? .plain : .bad)
        }
        let refusals = report.members.compactMap { member in
            member.lastRefusal.map { Line("node \(member.node) was refused: \($0)", .warning) }
        }
        return table.lines() + (report.wish.map { [Line($0.words, .warning)] } ?? [])
            + (report.level?.words.map { [Line($0, .warning)] } ?? []) + refusals
    }
}

extension WishReport {
    var words: String {
        let stood = stoodSeconds.map { $0 < 2 ? "" : ", for \(Words.seconds($0))" } ?? ""
        let waits =
            waitsFor.map { "waits\(stood): \($0)" }
            ?? (stoodSeconds == nil ? "the leader knows what it waits for" : "it begins")
        return "to \(change): \(isJoint ? "old and new members decide together" : waits)"
    }
}

extension MemberReport.Vote {
    fileprivate var words: String {
        switch self {
        case .votes: "yes"
        case .learns: "learns"
        case .standsBy: "stands by"
        case .none: "no member"
        }
    }
}
