package import Mesh
internal import Raft

/// How long writes take from their answer here to each replica's disk, as its acknowledgements say: what the loss of this region
/// costs a volume whose flushes don't wait for another one.
package struct ReplicaLags: Sendable {
    /// What is held for a replica that acknowledges nothing: each is of the writes of one turn, and has 24 bytes.
    static let marksMax = 8_192

    private struct Mark: Sendable {
        let last: LogIndex
        let answeredAt: Instant
        let writes: Int
    }

    package struct Replica: Sendable {
        package let node: NodeID
        package fileprivate(set) var histogram = LagHistogram()
        /// The number of the first mark that it has not acknowledged.
        fileprivate var next: Int
    }

    private var marks: [Mark] = []
    /// The number of the first one that is held.
    private var first = 0
    package private(set) var replicas: [Replica] = []

    package init() {}

    /// Writes stand in the log from `index` on, one for each time.
    mutating func placed(at index: LogIndex, answeredAt times: ArraySlice<Instant>, by now: Instant)
    {
        var rest = times
        while let time = rest.first {
            let same = rest.prefix { $0 == time }.count
            rest = rest.dropFirst(same)
            let last = index.advanced(by: times.count - rest.count - 1)
            marks.append(Mark(last: last, answeredAt: time, writes: same))
        }
        if marks.count > Self.marksMax { forget(marks.count - Self.marksMax, at: now) }
    }

    /// Looks at what was acknowledged since. A witness is no replica.
    mutating func look(_ progress: [Progress], at now: Instant) {
        guard !marks.isEmpty else { return }
        // By their places, for this comes with every event: a copy of each counts all it refers to.
        for at in progress.indices where !progress[at].isWitness {
            look(progress[at].node, acknowledged: progress[at].match, at: now)
        }
        var done = replicas.isEmpty ? first : .max
        for at in replicas.indices { done = min(done, replicas[at].next) }
        if 2 * (done - first) > marks.count {
            marks.removeFirst(done - first)
            first = done
        }
    }

    private mutating func look(_ node: NodeID, acknowledged: LogIndex, at now: Instant) {
        let at = place(of: node)
        while replicas[at].next < first + marks.count {
            let mark = marks[replicas[at].next - first]
            guard mark.last <= acknowledged else { return }
            replicas[at].histogram.add(now.since(mark.answeredAt), times: mark.writes)
            replicas[at].next += 1
        }
    }

    /// Of who was not heard yet all that is held is open.
    private mutating func place(of node: NodeID) -> Int {
        for at in replicas.indices where replicas[at].node == node { return at }
        replicas.append(Replica(node: node, next: first))
        return replicas.count - 1
    }

    /// What a replica has not acknowledged by now counts as longer than all that is told apart.
    private mutating func forget(_ count: Int, at now: Instant) {
        let longest = Interval.microseconds(LagHistogram.microsecondsMax)
        for at in replicas.indices {
            while replicas[at].next < first + count {
                let mark = marks[replicas[at].next - first]
                let length = max(now.since(mark.answeredAt), longest)
                replicas[at].histogram.add(length, times: mark.writes)
                replicas[at].next += 1
            }
        }
        marks.removeFirst(count)
        first += count
    }
}
