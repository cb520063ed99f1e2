package import Mesh

/// One thing that happened, in true time.
package struct StoryLine: Sendable, CustomStringConvertible {
    package let at: Moment
    /// nil where it concerns no single member.
    package let member: NodeID?
    private let words: String
    /// Put into words only where the line is read: of many runs none ever is.
    private let rest: (any Sendable)?

    init(_ at: Moment, _ member: NodeID?, _ words: String, _ rest: (any Sendable)? = nil) {
        (self.at, self.member, self.words, self.rest) = (at, member, words, rest)
    }

    package var text: String { rest.map { words + "\($0)" } ?? words }

    package var description: String {
        "\(at)  \(member.map { "node \($0)" } ?? "mesh  ")  \(text)"
    }
}

/// What is told when something goes wrong: the newest lines of the run.
struct Story {
    static let linesMax = 400

    private var ring: [StoryLine] = []
    private var next = 0

    mutating func tell(_ line: StoryLine) {
        if ring.count < Self.linesMax {
            ring.append(line)
        } else {
            ring[next] = line
        }
        next = (next + 1) % Self.linesMax
    }

    var lines: [StoryLine] {
        ring.count < Self.linesMax ? ring : Array(ring[next...] + ring[..<next])
    }
}
