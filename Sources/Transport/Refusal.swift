package import Mesh

/// Why a peer was not let in, or was shown out. The codes travel in refusal frames.
package enum RefusalCause: UInt8, CaseIterable, Hashable, Comparable, Sendable {
    case untrustedCertificate = 1
    case expiredCertificate = 2
    case noCertificate = 3
    case unnamedCertificate = 4
    case wrongCluster = 5
    case unknownNode = 6
    case revokedNode = 7
    case wrongName = 8
    case wrongVersion = 9
    case wrongHello = 10
    case wrongDirection = 11
    case oversizedFrame = 12
    case malformedFrame = 13
    case deadline = 14
    case tooManyStrangers = 15
    case handshakeFailed = 16

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

package struct Refusal: Error, Hashable, Sendable {
    package let cause: RefusalCause
    /// The peer that was proved or dialed; nil for a stranger, whose own claim counts for nothing.
    package var peer: NodeID?
    package var address: String
    /// For an operator: what was found and what was expected.
    package let reason: String
    /// What the peer speaks, where that is too little.
    package let featureLevel: UInt32?

    init(
        _ cause: RefusalCause, _ reason: String, peer: NodeID? = nil, address: String = "",
        featureLevel: UInt32? = nil
    ) {
        self.cause = cause
        self.reason = reason
        self.featureLevel = featureLevel
        self.peer = peer
        self.address = address
    }
}

/// Counts refusals by cause and keeps the last of each peer; strangers share one place, so that no
/// flood of them grows it.
package struct Refusals: Hashable, Sendable {
    package private(set) var counts: [RefusalCause: UInt64] = [:]
    package private(set) var lastByPeer: [NodeID: Refusal] = [:]
    package private(set) var lastStranger: Refusal?
    private var notedAt: [NodeID: Instant] = [:]

    package func count(_ cause: RefusalCause) -> UInt64 { counts[cause, default: 0] }
    package var total: UInt64 { counts.values.reduce(0, +) }

    /// True when this peer was last refused for another cause, so that a log says it once.
    mutating func note(_ refusal: Refusal, roster: Roster, at now: Instant) -> Bool {
        counts[refusal.cause, default: 0] += 1
        guard let peer = refusal.peer, roster.entry(peer) != nil else {
            defer { lastStranger = refusal }
            return lastStranger?.cause != refusal.cause
        }
        defer { (lastByPeer[peer], notedAt[peer]) = (refusal, now) }
        return lastByPeer[peer]?.cause != refusal.cause
    }

    /// Counts stay: what happened happened.
    mutating func forget(_ peer: NodeID) {
        lastByPeer[peer] = nil
        notedAt[peer] = nil
    }

    mutating func forget(before then: Instant) {
        for (peer, at) in notedAt where at < then { forget(peer) }
    }
}
