package import Mesh

/// Since when each member has been too far behind.
package struct Lags: Hashable, Sendable {
    private var beganAt: [NodeID: UInt64] = [:]

    package init() {}

    /// How far behind a node is by its own word: its log is on the disk up to `durable`, `committed` is
    /// what its leader told, and `heard` is how far the others' logs reached when they last said so.
    /// Hearsay is seconds old, so that a node which follows is never taken for one that does not.
    package static func own(
        durable: LogIndex, committed: LogIndex, heard: [LogIndex]
    ) -> UInt64 {
        heard.reduce(committed, max).distance(above: durable)
    }

    /// `entries` of the members whose lag is known, at `now` in unix seconds.
    package mutating func look(_ entries: [NodeID: UInt64], at now: UInt64) {
        beganAt = entries.filter { $0.value > Sight.lagTolerated }.keys.reduce(into: [:]) {
            $0[$1] = beganAt[$1] ?? now
        }
    }

    /// Unix seconds; nil of one that keeps up.
    package func began(_ node: NodeID) -> UInt64? { beganAt[node] }
}
