/// What one node says of the mesh and of itself: `GET /v1/status`.
package struct StatusReport: Codable, Hashable, Sendable {
    /// How many takeovers are remembered.
    package static let takeoversMax = 16

    package var node: UInt64
    package var region: String
    package var role: MemberRole
    /// 32 hexadecimal digits.
    package var cluster: String
    package var version: String
    package var pid: Int32
    /// Unix seconds.
    package var startedAt: UInt64
    /// Raft's leader, as far as this node knows.
    package var leader: UInt64?
    package var raft: RaftStanding
    /// The primary that the mesh agreed on; nil before the first.
    package var primary: PrimaryReport?
    package var quorum: QuorumReport
    package var preferredRegion: String?
    /// By id, this node among them.
    package var members: [MemberReport]
    /// By name; a witness has none.
    package var volumes: [VolumeReport]
    /// How far the images here have been read over; nil on a witness.
    package var scrub: ScrubReport?
    package var alarms: [Alarm]
    /// Newest last.
    package var takeovers: [TakeoverReport]
    package var counters: [String: UInt64]
    /// How the members are to change.
    package var wish: WishReport?
    /// nil unless this node's log is damaged: then it takes no part in anything until that is mended.
    package var mending: MendingReport?
    /// nil of a release that knows of no levels.
    package var level: LevelReport?

    package init(
        node: UInt64, region: String, role: MemberRole, cluster: String, version: String,
        pid: Int32, startedAt: UInt64, leader: UInt64?, raft: RaftStanding,
        primary: PrimaryReport?, quorum: QuorumReport, preferredRegion: String?,
        members: [MemberReport], volumes: [VolumeReport] = [], scrub: ScrubReport? = nil,
        alarms: [Alarm] = [], takeovers: [TakeoverReport] = [], counters: [String: UInt64] = [:],
        wish: WishReport? = nil, mending: MendingReport? = nil, level: LevelReport? = nil
    ) {
        self.node = node
        self.region = region
        self.role = role
        self.cluster = cluster
        self.version = version
        self.pid = pid
        self.startedAt = startedAt
        self.leader = leader
        self.raft = raft
        self.primary = primary
        self.quorum = quorum
        self.preferredRegion = preferredRegion
        self.members = members
        self.volumes = volumes
        self.scrub = scrub
        self.alarms = alarms
        self.takeovers = takeovers
        self.counters = counters
        self.wish = wish
        self.mending = mending
        self.level = level
    }
}

/// The present pass over the images, which finds damage that nobody reads.
package struct ScrubReport: Codable, Hashable, Sendable {
    package var doneBytes: UInt64
    package var wholeBytes: UInt64
    /// Unix seconds; nil before the first pass was complete.
    package var lastCompletedAt: UInt64?
    /// Of what was read since the agent began, what was compared with another member's.
    package var comparedBytes: UInt64?

    package init(
        doneBytes: UInt64, wholeBytes: UInt64, lastCompletedAt: UInt64? = nil,
        comparedBytes: UInt64? = nil
    ) {
        self.comparedBytes = comparedBytes
        self.doneBytes = doneBytes
        self.wholeBytes = wholeBytes
        self.lastCompletedAt = lastCompletedAt
    }
}

package enum MemberRole: String, Codable, Hashable, Sendable {
    case data, witness
}

package struct PrimaryReport: Codable, Hashable, Sendable {
    package var node: UInt64
    package var region: String
    package var epoch: UInt64
    /// True only on the answering node itself, when it is the primary and holds the lease.
    package var acting: Bool
    package var leaseLeftMilliseconds: UInt64?
    /// Whether the answering node holds the lease, or saw it renewed within its length and a
    /// tolerance; nil where it cannot be seen.
    package var leaseSeen: Bool?
    /// Since the answering node last saw a renewal of another's lease; nil when it saw none.
    package var renewedMilliseconds: UInt64?

    package init(
        node: UInt64, region: String, epoch: UInt64, acting: Bool,
        leaseLeftMilliseconds: UInt64? = nil, leaseSeen: Bool? = nil,
        renewedMilliseconds: UInt64? = nil
    ) {
        self.node = node
        self.region = region
        self.epoch = epoch
        self.acting = acting
        self.leaseLeftMilliseconds = leaseLeftMilliseconds
        self.leaseSeen = leaseSeen
        self.renewedMilliseconds = renewedMilliseconds
    }
}

package struct QuorumReport: Codable, Hashable, Sendable {
    package var voters: Int
    package var needed: Int
    /// Voters that the answering node hears from, itself included.
    package var reachable: Int
    package var ok: Bool

    /// Whether anything can be decided: enough voters are heard.
    package var isReached: Bool { reachable >= needed }

    package init(voters: Int, needed: Int, reachable: Int, ok: Bool) {
        self.voters = voters
        self.needed = needed
        self.reachable = reachable
        self.ok = ok
    }
}

/// Something a person has to know, and what to do about it.
package struct Alarm: Codable, Hashable, Sendable {
    package enum Severity: String, Codable, Hashable, Sendable {
        case critical, warning, info
    }
    /// Short and stable, for programs: `disk-full`.
    package var code: String
    package var severity: Severity
    package var text: String
    package var remedy: String
    /// Unix seconds; nil where it is not known.
    package var since: UInt64?

    package init(
        code: String, severity: Severity, text: String, remedy: String, since: UInt64? = nil
    ) {
        self.code = code
        self.severity = severity
        self.text = text
        self.remedy = remedy
        self.since = since
    }
}

/// `GET /v1/alarms`.
package struct AlarmsReport: Codable, Hashable, Sendable {
    package var alarms: [Alarm]
    package init(alarms: [Alarm]) { self.alarms = alarms }
}

/// The answer to `DELETE /v1/alarms/CODE`.
package struct AlarmClearing: Codable, Hashable, Sendable {
    package var code: String
    /// How many incidents stood behind it.
    package var cleared: Int
    package init(code: String, cleared: Int) {
        self.code = code
        self.cleared = cleared
    }
}

package struct TakeoverReport: Codable, Hashable, Sendable {
    package enum Reason: String, Codable, Hashable, Sendable {
        /// After a failure.
        case takeover
        /// Because an operator said so.
        case switchover
        /// The mesh had no primary before.
        case start
        /// The same node again: it was restarted, or had lost its leadership for a moment.
        case restart

        /// The same, of a primary that followed itself or another one. A seat is given up by
        /// whoever hands over, and also by whoever finds itself named after a restart.
        package func following(itself: Bool) -> Self { itself && self != .start ? .restart : self }
    }
    package struct Phase: Codable, Hashable, Sendable {
        package var name: String
        package var milliseconds: Double
        package init(name: String, milliseconds: Double) {
            self.name = name
            self.milliseconds = milliseconds
        }
    }
    package var epoch: UInt64
    /// The region before; nil when there was none.
    package var from: String?
    package var to: String
    package var reason: Reason
    /// Unix milliseconds.
    package var at: UInt64
    /// In the order in which they ran.
    package var phases: [Phase]

    package init(
        epoch: UInt64, from: String?, to: String, reason: Reason, at: UInt64, phases: [Phase]
    ) {
        self.epoch = epoch
        self.from = from
        self.to = to
        self.reason = reason
        self.at = at
        self.phases = phases
    }
}
