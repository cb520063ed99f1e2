package import Mesh

/// `name word word key=value`: words by their place, options by their name.
package struct ScenarioCommand: Hashable, Sendable {
    package let name: String
    package let text: String
    package let line: Int
    private let words: [String]
    private let options: [String: String]

    init(parsing line: Substring, line number: Int) throws(ScenarioFault) {
        let parts = line.split(separator: " ").map(String.init)
        guard let name = parts.first else { throw ScenarioFault("a blank line", line: number) }
        (self.name, text, self.line) = (name, String(line), number)
        var (words, options): ([String], [String: String]) = ([], [:])
        for part in parts.dropFirst() {
            let halves = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard halves.count == 2 else {
                words.append(part)
                continue
            }
            guard options.updateValue(halves[1], forKey: halves[0]) == nil else {
                throw ScenarioFault("\(halves[0]) is said twice", line: number)
            }
        }
        (self.words, self.options) = (words, options)
    }

    /// Refuses what a command does not know.
    package func knows(words count: ClosedRange<Int>, options known: String...)
        throws(ScenarioFault)
    {
        guard count.contains(words.count) else {
            throw ScenarioFault("\(name) takes \(count) words, not \(words.count)")
        }
        for key in options.keys.sorted() where !known.contains(key) {
            throw ScenarioFault("\(name) knows no \(key)")
        }
    }

    package var count: Int { words.count }

    package func has(_ word: String) -> Bool { words.contains(word) }

    package func word(_ at: Int) throws(ScenarioFault) -> String {
        guard at < words.count else { throw ScenarioFault("\(name) needs \(at + 1) words") }
        return words[at]
    }

    package func option(_ key: String) -> String? { options[key] }

    package func number(_ key: String) throws(ScenarioFault) -> UInt64? {
        guard let text = options[key] else { return nil }
        return try Self.number(text)
    }

    package func number(at place: Int) throws(ScenarioFault) -> UInt64 {
        try Self.number(try word(place))
    }

    package func node(at place: Int) throws(ScenarioFault) -> NodeID {
        NodeID(try number(at: place))
    }

    /// `1,2,3`; nil where the option is not there, nobody where it is `none`.
    package func nodes(_ key: String) throws(ScenarioFault) -> [NodeID]? {
        guard let text = options[key] else { return nil }
        return try Self.nodes(text)
    }

    package static func nodes(_ text: String) throws(ScenarioFault) -> [NodeID] {
        var nodes: [NodeID] = []
        guard text != "none" else { return [] }
        for part in text.split(separator: ",") { nodes.append(NodeID(try number(String(part)))) }
        return nodes
    }

    package func interval(_ key: String) throws(ScenarioFault) -> Interval? {
        guard let text = options[key] else { return nil }
        return try Self.interval(text)
    }

    package func interval(at place: Int) throws(ScenarioFault) -> Interval {
        try Self.interval(try word(place))
    }

    private static func number(_ text: String) throws(ScenarioFault) -> UInt64 {
        guard let number = UInt64(text) else { throw ScenarioFault("\(text) is no number") }
        return number
    }

    /// `250ms` or `3s`.
    private static func interval(_ text: String) throws(ScenarioFault) -> Interval {
        let isShort = text.hasSuffix("ms")
        guard isShort || text.hasSuffix("s"),
            let count = UInt64(text.dropLast(isShort ? 2 : 1)), count <= 86_400_000
        else { throw ScenarioFault("\(text) is no time: say 250ms or 3s") }
        return isShort ? .milliseconds(count) : .seconds(count)
    }
}

/// A directed link of nodes: whose letters to whom.
package struct ScenarioLink: Hashable, Sendable {
    package let from: NodeID
    package let to: NodeID

    package init(from: NodeID, to: NodeID) { (self.from, self.to) = (from, to) }

    /// `1->2` is one way, `1-2` both, `1->*` and `*->1` all of a node's ways out or in, and `1,2-3` all between
    /// two groups.
    package static func links(_ text: String, among all: [NodeID]) throws(ScenarioFault) -> [Self] {
        let isOneWay = text.contains("->")
        let ends = text.split(separator: "-", maxSplits: 1).map {
            $0.hasPrefix(">") ? String($0.dropFirst()) : String($0)
        }
        guard ends.count == 2 else {
            throw ScenarioFault("\(text) is no link: say 1-2, 1->2 or 1,2->*")
        }
        func group(_ text: String) throws(ScenarioFault) -> [NodeID] {
            text == "*" ? all : try ScenarioCommand.nodes(text)
        }
        let (here, there) = (try group(ends[0]), try group(ends[1]))
        var links: [Self] = []
        for from in here {
            for to in there where from != to {
                links.append(Self(from: from, to: to))
                if !isOneWay { links.append(Self(from: to, to: from)) }
            }
        }
        return links
    }
}
