package import Mesh

/// Since when each member has been too far behind.
package struct Lags: Hashable, Sendable {
    private var beganAt: [NodeID: UInt64] = [:]

    package init() {}

    /// `entries` of the members whose lag is known, at `now` in unix seconds.
    package mutating func look(_ entries: [NodeID: UInt64], at now: UInt64) {
        beganAt = entries.filter { $0.value > Sight.lagTolerated }.keys.reduce(into: [:]) {
            $0[$1] = beganAt[$1] ?? now
        }
    }

    /// Unix seconds; nil of one that keeps up.
    package func began(_ node: NodeID) -> UInt64? { beganAt[node] }
}
