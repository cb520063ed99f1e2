/// What is wrong with a scenario's text, or with what a command asks for.
package struct ScenarioFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// From 1; nil where the command's place is not known yet.
    package var line: Int?
    package let what: String

    package init(_ what: String, line: Int? = nil) { (self.what, self.line) = (what, line) }

    package var description: String { (line.map { "line \($0): " } ?? "") + what }
}

/// What carries commands out and tells what came of them: cores on simulated links.
package protocol ScenarioStage {
    /// One line each, none of them empty.
    mutating func carryOut(_ command: ScenarioCommand) throws(ScenarioFault) -> [String]
}

/// A text that says what is done to some nodes and, behind each block of commands, exactly what came of
/// it (docs/verification.md, "Scenarios"). Played, it is written anew: what differs from the text is
/// what changed.
///
///     # Comments stand between blocks.
///     mesh data=3
///     run 1s
///     ----
///        302  2 leads in term 1
package struct Scenario: Sendable {
    private enum Part: Sendable {
        /// Blank lines and comments.
        case remark(String)
        case block([ScenarioCommand])
    }

    private static let rule = "----"
    private let parts: [Part]

    package init(parsing text: String) throws(ScenarioFault) {
        var parts: [Part] = []
        var commands: [ScenarioCommand] = []
        var isOutput = false
        for (at, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        {
            if line.isEmpty { isOutput = false }
            if isOutput { continue }
            if line == Self.rule {
                guard !commands.isEmpty else {
                    throw ScenarioFault("no command stands before \(Self.rule)", line: at + 1)
                }
                parts.append(.block(commands))
                (commands, isOutput) = ([], true)
            } else if line.isEmpty || line.hasPrefix("#") {
                guard commands.isEmpty else {
                    throw ScenarioFault("a block of commands ends with \(Self.rule)", line: at + 1)
                }
                parts.append(.remark(String(line)))
            } else {
                commands.append(try ScenarioCommand(parsing: line, line: at + 1))
            }
        }
        guard commands.isEmpty else {
            throw ScenarioFault("the last block of commands has no \(Self.rule)")
        }
        self.parts = parts
    }

    /// The text as it is to be: with what came of the commands this time.
    package func played(on stage: inout some ScenarioStage) throws(ScenarioFault) -> String {
        var lines: [String] = []
        for part in parts {
            switch part {
            case .remark(let line): lines.append(line)
            case .block(let commands):
                var told: [String] = []
                for command in commands {
                    lines.append(command.text)
                    do { told += try stage.carryOut(command) } catch {
                        throw ScenarioFault(error.what, line: command.line)
                    }
                }
                lines += [Self.rule] + told
            }
        }
        return lines.joined(separator: "\n")
    }

    /// Where the text first differs from what was played, and how; nil where it does not.
    package static func difference(of text: String, from played: String) -> String? {
        func lines(_ text: String) -> [Substring] {
            text.split(separator: "\n", omittingEmptySubsequences: false)
        }
        let (expected, found) = (lines(text), lines(played))
        let same = zip(expected, found).prefix { $0 == $1 }.count
        guard same < max(expected.count, found.count) else { return nil }
        let wanted = same < expected.count ? expected[same] : "(the end)"
        return "line \(same + 1) is\n\(wanted)\nand it went so:\n"
            + found[same...].prefix(5).joined(separator: "\n")
    }
}
