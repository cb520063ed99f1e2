import Foundation

/// The rules as functions of text, so that they can be tried on planted bad text.
enum Rules {
    static let linesMax = 600

    /// What each pure module may import; nothing here can touch the world.
    static let imports: [String: Set<String>] = [
        "Admin": [],
        "Alarms": ["Admin", "Mesh"],
        "Disk": [],
        "Mending": ["Mesh", "Record"],
        "Mesh": [],
        "Pacing": ["Mesh"],
        "Planted": [],
        "Record": ["CChecksum", "Mesh"],
        "Raft": ["Mesh", "Planted", "Record"],
        "Gossip": ["Mesh", "Planted"],
        "GossipSim": ["Gossip", "Mesh"],
        "Scenario": ["Mesh"],
        "JournalCore": ["Disk", "Mesh", "Planted", "Record"],
        "SimulatedDisk": ["Disk", "Mesh"],
        "Decisions": ["Mesh", "Planted"],
        "VolumeCore": ["Disk", "Mesh", "Planted", "Record"],
        "NBDProtocol": ["Mesh"],
        "PowerCut": ["Disk", "JournalCore", "Mesh", "Record", "SimulatedDisk", "VolumeCore"],
        "Wire": ["Decisions", "Mesh", "SwiftProtobuf"],
        "Voting": ["Gossip", "Mesh", "Raft"],
        "Replay": ["Decisions", "Mesh", "Node", "Record", "VolumeCore"],
        "Repository": ["CCompression", "Mesh", "Record", "Sealing"],
        "Retention": ["Mesh"],
        "Schedule": ["Decisions", "Mesh"],
        "S3Protocol": ["Crypto", "FoundationEssentials", "Mesh", "Sealing"],
        // Foundation's essentials hold the Data that Crypto's functions take and give.
        "Sealing": ["CNames", "CPassphrase", "Crypto", "FoundationEssentials", "Mesh"],
        "Simulator": [
            "Decisions", "Disk", "Gossip", "JournalCore", "Mending", "Mesh", "Node", "Planted",
            "Raft",
            "Record", "SimulatedDisk", "VolumeCore", "Voting", "Wire",
        ],
        "Node": [
            "Decisions", "Gossip", "Mending", "Mesh", "Planted", "Raft", "Record", "VolumeCore",
            "Voting", "Wire",
        ],
    ]

    static let banned = [
        "Date(", ".now", "Task {", "try!", "fatalError(", "FIXME", "TODO",
        "SystemRandomNumberGenerator",
    ]

    static let parts = ["Purpose", "It does not", "Invariants"]

    static func foreignImports(in text: String, allowed: Set<String>) -> [String] {
        let modifiers: Set<String> = [
            "public", "package", "internal", "fileprivate", "private", "@testable",
            "@preconcurrency", "@_exported", "@_implementationOnly", "unsafe", "@_spi",
        ]
        let kinds: Set<String> = [
            "struct", "class", "enum", "protocol", "typealias", "func", "let", "var",
        ]
        return statements(of: text).compactMap { statement in
            var words = statement.split(whereSeparator: \.isWhitespace).map(String.init)
            while let word = words.first, modifiers.contains(word) || word.hasPrefix("@") {
                words.removeFirst()
            }
            guard words.count > 1, words[0] == "import" else { return nil }
            let path = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
            let module = String(path.prefix { $0 != "." })
            return allowed.contains(module) ? nil : module
        }
    }

    /// `import A; import B` is one line and two statements.
    private static func statements(of text: String) -> [Substring] {
        text.split { $0.isNewline || $0 == ";" }
    }

    static func bannedWords(in text: String) -> [String] {
        var found = banned.filter { occurs($0, in: text) }
        if drawsUnseeded(text) { found.append(".random(in:") }
        return found
    }

    /// A name must end where the word ends: `.now` is not in `.nowhere`.
    private static func occurs(_ word: String, in text: String) -> Bool {
        let isName = word.last.map { $0.isLetter } ?? false
        // A core may keep the instant it was handed under that name; a clock may not be asked.
        var rest = text.replacing("self.now", with: "self")[...]
        while let range = rest.range(of: word) {
            let next = rest[range.upperBound...].first
            let goesOn = next.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false
            if !(isName && goesOn) { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }

    private static func drawsUnseeded(_ text: String) -> Bool {
        var rest = text[...]
        while let range = rest.range(of: ".random(in:") {
            rest = rest[range.upperBound...]
            var depth = 1
            let call = rest.prefix { character in
                if character == "(" { depth += 1 }
                if character == ")" { depth -= 1 }
                return depth > 0
            }
            if !call.contains("using:") { return true }
        }
        return false
    }

    static func isTooLong(_ text: String) -> Bool {
        text.split(separator: "\n", omittingEmptySubsequences: false).count - 1 > linesMax
    }

    /// Each part is a heading with something below it before the next heading.
    static func missingParts(inPage text: String) -> [String] {
        let lines = text.split(whereSeparator: \.isNewline)
        return parts.filter { part in
            guard let heading = lines.firstIndex(where: { isHeading($0, part) }) else {
                return true
            }
            let below = lines[(heading + 1)...].first
            return below.map { $0.hasPrefix("#") } ?? true
        }
    }

    private static func isHeading(_ line: Substring, _ part: String) -> Bool {
        line.hasPrefix("#") && line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces) == part
    }

    /// All that a target links of this package and of others, as the manifest says.
    static func linked(by target: String, inManifest text: String) -> Set<String> {
        var rooms: [String: [String]] = [:]
        // A target is a call whose first argument is its name, and whose second lists what it links.
        for call in text.components(separatedBy: "(").dropFirst() {
            let words = call.prefix { $0 != "]" }.split(separator: "[", maxSplits: 1)
            let quoted = words.first?.components(separatedBy: "\"") ?? []
            guard words.count == 2, quoted.count > 2,
                quoted[0].allSatisfy({ $0.isWhitespace || $0.isNewline })
            else { continue }
            let linked = words[1].split { $0 == "," || $0.isNewline }.map {
                $0.trimmingCharacters(in: CharacterSet(charactersIn: " \""))
            }
            rooms[quoted[1]] = linked.filter { !$0.isEmpty }
        }
        var (found, open) = (Set<String>(), [target])
        while let next = open.popLast() {
            for room in rooms[next] ?? [] where found.insert(room).inserted { open.append(room) }
        }
        return found
    }

    static func pureTargets(inManifest text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).compactMap { line in
            let line = line.trimmingCharacters(in: .whitespaces)
            guard line.hasPrefix("pure(\"") else { return nil }
            return String(line.dropFirst("pure(\"".count).prefix { $0 != "\"" })
        }
    }
}
