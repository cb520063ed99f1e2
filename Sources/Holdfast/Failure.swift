internal import Admin
internal import ArgumentParser
internal import Control

/// What the process ends with; docs/operations.md lists the same.
enum Exit: Int32, Sendable {
    case refused = 1
    case usage = 2
    case unreachable = 3
    case noQuorum = 4

    var code: ExitCode { ExitCode(rawValue) }
}

/// Why a command was not done: words for a person, or a problem document for a program.
struct Failure: Error, Hashable, Sendable {
    let exit: Exit
    let text: String
    let problem: Problem?
    private(set) var isForProgram = false

    init(_ exit: Exit, _ text: String) {
        self.exit = exit
        self.text = text
        problem = nil
    }

    init(_ problem: Problem) {
        exit = problem.isForWantOfQuorum ? .noQuorum : .refused
        text = "\(problem.title). \(problem.detail)\n  \(problem.remedy)"
        self.problem = problem
    }

    func `for`(_ format: Format) -> Failure {
        var copy = self
        copy.isForProgram = format != .table
        return copy
    }

    init(_ failed: AskFailed) {
        switch failed {
        case .refused(let problem): self.init(problem)
        case .unreachable(let path, let why):
            self.init(
                .unreachable,
                "no agent answers on \(path): \(why)\n  Start the agent, or give its socket with "
                    + "--socket or HOLDFAST_SOCKET.")
        case .forbidden(let path, let owner):
            let user = owner.map { ", who is \($0)" } ?? ""
            self.init(
                .unreachable,
                "\(path) may not be used by you: only root and the node's own user\(user), may\n"
                    + "  Run it as one of them, with sudo for example; whether the agent runs can't "
                    + "be seen from here.")
        case .late(let path, let seconds):
            self.init(
                .noQuorum,
                "the agent on \(path) gave no answer within \(seconds) s; what was asked may still "
                    + "take effect\n  Look at its log, and at `holdfast status` of another node.")
        case .garbled(let path, let why):
            self.init(
                .unreachable,
                "what answers on \(path) cannot be understood: \(why)\n  Check that agent and "
                    + "command line are of the same release.")
        }
    }
}
