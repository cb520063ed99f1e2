internal import Mesh
internal import Yams

/// A mapping that is being read: takes each key once, collects every fault, and at the end names
/// the keys that nobody asked for.
struct Section {
    let file: String
    let path: String
    private let line: Int
    private let entries: [(key: String, line: Int, value: Node)]
    private var known: [String] = []
    private(set) var faults: [Fault] = []

    /// A value and where it stands, for checks across keys.
    struct Placed<Value> {
        let value: Value
        let line: Int
        let key: String
    }

    init(_ node: Node, file: String, path: String = "") {
        self.file = file
        self.path = path
        line = node.mark?.line ?? 1
        guard case .mapping(let mapping) = node else {
            entries = []
            faults = [
                Fault(file: file, line: line, key: path, problem: "expected a mapping of keys")
            ]
            return
        }
        var entries: [(key: String, line: Int, value: Node)] = []
        var names: Set<String> = []
        for (key, value) in mapping {
            let name = key.string ?? ""
            let line = key.mark?.line ?? value.mark?.line ?? self.line
            if !names.insert(name).inserted {
                faults.append(
                    Fault(file: file, line: line, key: name, problem: "is given twice"))
            }
            entries.append((name, line, value))
        }
        self.entries = entries
    }

    /// Reads paths that are relative to the file, where they are not absolute.
    static func path(beside file: String) -> (String) -> String? {
        let slash = file.lastIndex(of: "/")
        let directory = slash.map { $0 == file.startIndex ? "/" : String(file[..<$0]) } ?? ""
        return { text in
            guard !text.isEmpty, !text.utf8.contains(0) else { return nil }
            return text.hasPrefix("/") || directory.isEmpty ? text : "\(directory)/\(text)"
        }
    }

    func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    mutating func report(_ key: String, line: Int?, _ problem: String) {
        faults.append(Fault(file: file, line: line, key: key, problem: problem))
    }

    mutating func adopt(_ others: [Fault]) { faults += others }

    /// The value of a key that may be absent.
    mutating func node(_ key: String) -> Placed<Node>? {
        known.append(key)
        guard let entry = entries.first(where: { $0.key == key }) else { return nil }
        return Placed(value: entry.value, line: entry.line, key: path(of: key))
    }

    /// Reads a scalar; `parse` gives nil for what is not `expected`.
    mutating func optional<Value>(
        _ key: String, expected: String, parse: (String) -> Value?
    ) -> Placed<Value>? {
        guard let placed = node(key) else { return nil }
        guard case .scalar(let scalar) = placed.value else {
            report(placed.key, line: placed.line, "expected \(expected)")
            return nil
        }
        guard let value = parse(scalar.string) else {
            report(
                placed.key, line: placed.line,
                "expected \(expected), found \(scalar.string.debugDescription)")
            return nil
        }
        return Placed(value: value, line: placed.line, key: placed.key)
    }

    mutating func duration(_ key: String, _ range: ClosedRange<Interval>) -> Placed<Interval>? {
        optional(key, expected: "a duration of \(range.lowerBound) to \(range.upperBound)") {
            text in
            Interval(duration: text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    mutating func required<Value>(
        _ key: String, expected: String, parse: (String) -> Value?
    ) -> Placed<Value>? {
        let before = faults.count
        let value = optional(key, expected: expected, parse: parse)
        if value == nil, faults.count == before {
            report(path(of: key), line: line, "is missing; expected \(expected)")
        }
        return value
    }

    mutating func list(_ key: String, required: Bool) -> [Placed<Node>] {
        guard let placed = node(key) else {
            if required { report(path(of: key), line: line, "is missing; expected a list") }
            return []
        }
        guard case .sequence(let sequence) = placed.value else {
            report(placed.key, line: placed.line, "expected a list")
            return []
        }
        return sequence.enumerated().map { place, node in
            Placed(
                value: node, line: node.mark?.line ?? placed.line, key: "\(placed.key)[\(place)]")
        }
    }

    /// Ends the reading: every key that was never asked for is a fault, with the nearest known one.
    mutating func finish() -> [Fault] {
        for entry in entries where !known.contains(entry.key) {
            let nearest = nearestName(to: entry.key, among: known)
            let hint = nearest.map { "; did you mean \($0)?" } ?? ""
            report(path(of: entry.key), line: entry.line, "is not a known key\(hint)")
        }
        return faults
    }
}

/// The name that takes the fewest edits, when few enough to be a slip of the hand.
func nearestName(to word: String, among names: [String]) -> String? {
    let distances = names.map { (name: $0, edits: editDistance(word, $0)) }
    guard let best = distances.min(by: { ($0.edits, $0.name) < ($1.edits, $1.name) }),
        best.edits <= max(2, word.count / 3)
    else { return nil }
    return best.name
}

/// Levenshtein's distance, ignoring case.
func editDistance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.lowercased()), Array(b.lowercased()))
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let substituted = diagonal + (x == y ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
        }
    }
    return row[b.count]
}
