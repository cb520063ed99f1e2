/// What travels together. Each lane has a connection of its own to each peer, so that a volume's
/// bulk bytes never stand before a vote in one TCP stream.
package enum Lane: UInt8, CaseIterable, Hashable, Comparable, Sendable {
    case consensus = 0
    case gossip = 1
    case bulk = 2

    /// The longest payload a frame of this lane may carry, checked before anything is allocated.
    package var frameBytesMax: Int {
        switch self {
        case .consensus: 4 << 20
        case .gossip: 64 << 10
        case .bulk: 8 << 20
        }
    }

    /// How many bytes wait for one peer before `send` drops. Dropping is lawful on every lane: Raft,
    /// gossip and the image install all send again.
    package var queueBytesMax: Int {
        switch self {
        case .consensus: 16 << 20
        case .gossip: 256 << 10
        case .bulk: 32 << 20
        }
    }

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
