/// One thing wrong in a configuration file: where, which key, and what would be right.
package struct Fault: Hashable, Sendable, CustomStringConvertible {
    package let file: String
    /// From 1; nil when the whole file is meant.
    package let line: Int?
    /// As a path, `members[2].address`; empty for the whole document.
    package let key: String
    package let problem: String

    package var description: String {
        let place = line.map { "\(file):\($0)" } ?? file
        return key.isEmpty ? "\(place): \(problem)" : "\(place): \(key): \(problem)"
    }
}

/// All that is wrong, so that one run of `config check` is enough.
package struct Faults: Error, Hashable, Sendable, CustomStringConvertible {
    package let all: [Fault]
    package var description: String { all.map(\.description).joined(separator: "\n") }
}
