internal import Glibc
package import Settings
internal import Store

/// What a daemon was started with.
package struct Invocation: Hashable, Sendable {
    package enum Refused: Error, Hashable, Sendable, CustomStringConvertible {
        case unknown(String)
        case missing(String)

        package var description: String {
            switch self {
            case .unknown(let word): "\(word) is not known; try --help"
            case .missing(let option): "\(option) needs a value; try --help"
            }
        }
    }

    package enum Deed: Hashable, Sendable { case run, version, help }

    package static let configDefault = "/etc/holdfast/node.yaml"
    package static let release = "0.1.0"

    package private(set) var deed = Deed.run
    package private(set) var config = Self.configDefault

    /// `words` without the program's own name.
    package init(_ words: [String]) throws(Refused) {
        var rest = words[...]
        while let word = rest.popFirst() {
            switch word {
            case "--config":
                guard let path = rest.popFirst() else { throw .missing(word) }
                config = path
            case "--version": deed = .version
            case "--help", "-h": deed = .help
            default: throw .unknown(word)
            }
        }
    }

    package static func help(_ program: String) -> String {
        """
        \(program) [--config FILE]    FILE is the node's configuration, \(configDefault) by default
        \(program) --version
        \(program) --help

        Exit codes: 0 stopped as asked; 64 wrong words; 70 a fault of its own; 74 its disk failed;
        75 another one runs on these directories or holds its address; 78 the configuration is at fault,
        or the mesh speaks more than this release.
        Signals: SIGTERM hands over and stops, SIGHUP reads certificates and members again.
        """
    }
}

/// Exit codes, as sysexits.h has them.
package enum ExitCode {
    package static let usage: Int32 = 64
    package static let fault: Int32 = 70
    package static let disk: Int32 = 74
    package static let busy: Int32 = 75
    package static let config: Int32 = 78
}

/// Says why on standard error, and ends the process.
package func stop(_ code: Int32, _ why: String) -> Never {
    let bytes = Array("\(why)\n".utf8)
    _ = unsafe write(STDERR_FILENO, bytes, bytes.count)
    exit(code)
}

/// Ends the process as asked.
package func finish(_ words: String? = nil) -> Never {
    if let words { print(words) }
    exit(0)
}

extension AgentSettings {
    /// The longest file that is read as a configuration.
    private static let fileBytesMax = 1 << 20

    package static func load(_ invocation: Invocation) throws(Faults) -> AgentSettings {
        try AgentSettings(file: invocation.config) { path in
            let parts = path.split(separator: "/", omittingEmptySubsequences: false)
            let directory = parts.dropLast().joined(separator: "/")
            let file = StateFile(String(parts.last ?? ""), in: directory.isEmpty ? "." : directory)
            guard let bytes = try? file.read(bytesMax: fileBytesMax) else { return nil }
            return String(validating: bytes, as: UTF8.self)
        }
    }
}
