/// One member as the answering node sees it.
package struct MemberReport: Codable, Hashable, Sendable {
    package enum Liveness: String, Codable, Hashable, Sendable {
        case alive, suspect, dead, left
        /// The answering node.
        case `self`
    }
    /// What the mesh's log says of it.
    package enum Vote: String, Codable, Hashable, Sendable {
        case votes, learns
        /// The witness beside an odd number of data members.
        case standsBy = "stands-by"
        /// It stands in the cluster file alone.
        case none
    }
    /// Entries under way are no lag: a follower may be this far behind while a client writes.
    package static let lagTolerated: UInt64 = 1_000

    package var node: UInt64
    package var region: String
    package var role: MemberRole
    package var address: String
    package var isSelf: Bool
    package var liveness: Liveness
    /// Durable there up to here; only the leader knows it of others, once they have answered it.
    package var matchIndex: UInt64?
    /// nil where it is not known now.
    package var lagEntries: UInt64?
    package var lagBytes: UInt64?
    /// nil while the link is down.
    package var roundTripMicroseconds: UInt64?
    package var linkUp: Bool
    /// Why this node's last connection was refused.
    package var lastRefusal: String?
    /// It had acknowledged the log up to here, and lost of it; only the leader knows.
    package var lostIndex: UInt64?
    /// It was away for longer than the log reaches, and takes what it lacks from another.
    package var resync: ResyncReport?
    /// nil where the answering node can't tell.
    package var vote: Vote?
    /// The feature level of its program; nil where nothing is heard of it.
    package var speaks: UInt64?

    /// Whether its absence is a loss to the mesh.
    package var counts: Bool { vote != Vote.none }

    package init(
        node: UInt64, region: String, role: MemberRole, address: String, isSelf: Bool,
        liveness: Liveness, matchIndex: UInt64? = nil, lagEntries: UInt64? = nil,
        lagBytes: UInt64? = nil, roundTripMicroseconds: UInt64? = nil, linkUp: Bool,
        lastRefusal: String? = nil, lostIndex: UInt64? = nil,
        resync: ResyncReport? = nil, vote: Vote? = nil, speaks: UInt64? = nil
    ) {
        self.node = node
        self.region = region
        self.role = role
        self.address = address
        self.isSelf = isSelf
        self.liveness = liveness
        self.matchIndex = matchIndex
        self.lagEntries = lagEntries
        self.lagBytes = lagBytes
        self.roundTripMicroseconds = roundTripMicroseconds
        self.linkUp = linkUp
        self.lastRefusal = lastRefusal
        self.lostIndex = lostIndex
        self.resync = resync
        self.vote = vote
        self.speaks = speaks
    }
}

/// How far a resync has come; nil where what is missing is not known yet.
package struct ResyncReport: Codable, Hashable, Sendable {
    package var percent: UInt64?
    package var bytesLeft: UInt64?
    package init(percent: UInt64? = nil, bytesLeft: UInt64? = nil) {
        self.percent = percent
        self.bytesLeft = bytesLeft
    }
}

/// `GET /v1/members`.
package struct MembersReport: Codable, Hashable, Sendable {
    package var members: [MemberReport]
    /// How they are to change.
    package var wish: WishReport?
    /// nil of a release that knows of no levels.
    package var level: LevelReport?
    package init(
        members: [MemberReport], wish: WishReport? = nil, level: LevelReport? = nil
    ) {
        (self.members, self.wish, self.level) = (members, wish, level)
    }
}
