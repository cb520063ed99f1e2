package import Mesh

/// Every deadline and bound of the links, by name.
package struct TransportLimits: Hashable, Sendable {
    /// How long a TCP connection may take to stand.
    package var connectDeadline = Interval.seconds(3)
    /// How long TLS and both hellos may take after that: a hung handshake holds nothing longer.
    package var greetingDeadline = Interval.seconds(5)
    package var backoffFloor = Interval.milliseconds(50)
    /// Low, for a region that comes back waits this long for its quorum.
    package var backoffCeiling = Interval.seconds(2)
    package var pingEvery = Interval.seconds(1)
    /// A link that has said nothing for this long, not even a ping, is closed.
    package var silenceMax = Interval.seconds(6)
    /// How long the end of a connection waits for the peer to take what was sent and TLS's farewell.
    package static let farewellDeadline = Interval.seconds(1)
    /// Accepted connections that have not shown who they are.
    package var strangersMax = 64
    /// A peer is told as refused for so long after the last time. One that is still turned away comes
    /// again within `backoffCeiling` and a greeting.
    package var refusalStands = Interval.seconds(60)
    package init() {}
}
