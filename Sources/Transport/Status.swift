package import Mesh

package enum DropReason: Hashable, Sendable {
    case unknownPeer
    /// No connection stands on this lane.
    case down
    /// The lane's bytes to this peer are at `Lane.queueBytesMax`.
    case full
    /// Longer than `Lane.frameBytesMax`.
    case oversized
}

package enum SendOutcome: Hashable, Sendable {
    /// Handed to the connection; it may still be lost with it.
    case queued
    case dropped(DropReason)
}

/// One link as an operator sees it.
package struct LinkStatus: Hashable, Sendable {
    package let node: NodeID
    package let lane: Lane
    package let state: LinkState
    package let bytesIn: UInt64
    package let bytesOut: UInt64
    package let queuedBytes: Int
    package let dropped: UInt64
    /// The last round trip of a ping; nil until one came back, and while the link is down.
    package let roundTrip: Interval?
    package let featureLevel: UInt32?
    package let lastError: String?

    package var isUp: Bool { state.upConnection != nil }
}

/// What happened to links, for whoever must know at once; called on an event loop, must not block.
package enum TransportEvent: Hashable, Sendable {
    case up(NodeID, Lane)
    /// The first ping of a connection came back.
    case proved(NodeID, Lane)
    case down(NodeID, Lane, String)
    case refused(Refusal)
}
