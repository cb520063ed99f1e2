package import Mesh

/// One thing that happened, in true time.
package struct StoryLine: Sendable, CustomStringConvertible {
    package let at: Moment
    /// nil where it concerns no single member.
    package let member: NodeID?
    package let text: String

    package var description: String {
        "\(at)  \(member.map { "node \($0)" } ?? "mesh  ")  \(text)"
    }
}

/// What is told when something goes wrong: the newest lines of the run.
struct Story {
    static let linesMax = 400

    private var ring: [StoryLine] = []
    private var next = 0

    mutating func tell(_ at: Moment, _ member: NodeID?, _ text: String) {
        let line = StoryLine(at: at, member: member, text: text)
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
