package import Mesh
package import Record

/// Brings back from the peers what a damaged log lacks (Alagappan 2018, "Protocol-Aware Recovery",
/// §3.3; docs/adr/0007). Asks one peer at a time, takes nothing but the very bytes that are missing,
/// and tells when the log can be opened. Meanwhile the node has no vote and no voice in the log.
package struct Mending: Core {
    package struct Settings: Hashable, Sendable {
        /// All other members. What none of them holds was never committed, and never will be: one who
        /// could still commit it would hold it.
        package let peers: [NodeID]
        /// A turn that brings nothing takes so long. Who is silent holds up nobody: the next one is asked.
        package var askEvery = Interval.milliseconds(400)
        /// A peer is not asked again for so long at first, and twice as long each time in vain, up to
        /// this: on a slow link one answer takes longer, and more of the same stands in its way.
        package var patienceMax = Interval.seconds(30)
        /// So often all were asked for entries, and what some lack and others say nothing of is not waited
        /// for any longer: a base will do.
        package var roundsUntilBase = 5
        /// Of what is under way, in bytes of entries.
        package var windowByteCountMax = MendMessage.giveByteCountMax
        package var windowEntriesMax = 64

        package init(peers: [NodeID]) { self.peers = peers }
    }

    /// What has to be had.
    package struct Need: Hashable, Sendable {
        /// In rising order.
        package var entries: [EntryIdentity]
        package var base: BaseIdentity?
        /// Of the base that the log builds on, whole or not.
        package var basePosition: Position
        /// What this node knew of commits: nothing up to here is given up.
        package var commit: LogIndex

        package init(
            entries: [EntryIdentity], base: BaseIdentity?, basePosition: Position, commit: LogIndex
        ) {
            (self.entries, self.base) = (entries, base)
            (self.basePosition, self.commit) = (basePosition, commit)
        }
    }

    package enum Event: Sendable {
        case wake
        case received(MendMessage, from: NodeID)
    }

    package enum Effect: Hashable, Sendable {
        case send(MendMessage, to: NodeID)
        /// The very entry that is missing.
        case restore(Entry)
        /// The very base.
        case restoreBase(Base)
    }

    /// How the log is to be opened.
    package enum Outcome: Hashable, Sendable {
        case whole
        /// A peer's base stands for what could not be had.
        case base(Base)
        /// All members lack the entry at this index.
        case cut(before: LogIndex)
    }

    package let settings: Settings
    package let session: MendSession
    package internal(set) var need: Need
    package private(set) var outcome: Outcome?
    package internal(set) var deadline: Instant
    /// What peers said of entries that are still missing.
    package internal(set) var answers: [NodeID: [LogIndex: MendMessage.Answer]] = [:]
    /// Whether some peer is known to have whole volumes. A base says nothing of them: who takes one goes
    /// without the entries below it, and must not be the last that had them.
    package var hasWholePeer = false
    /// How often all peers were asked.
    package internal(set) var rounds = 0

    /// Where in `peers` the one is that is asked now.
    var turn = 0
    /// Entries up to here it was asked for in this turn.
    var cursor = LogIndex.zero
    var hasAskedBase = false
    var sources: [NodeID: Source] = [:]
    /// Outlives turns: what came late counts as well.
    var arriving: Arriving?
    var taken: Base?

    package init(_ settings: Settings, _ need: Need, session: MendSession, at now: Instant) {
        self.settings = settings
        self.session = session
        self.need = need
        deadline = now
        for peer in settings.peers { meetsAnew(peer) }
        conclude()
    }

    package static var wake: Event { .wake }

    package mutating func handle(_ event: Event, at now: Instant, _ effects: inout [Effect]) {
        guard outcome == nil else { return }
        switch event {
        case .wake: if now >= deadline { visitNext(now, &effects) }
        case .received(let message, let peer): received(message, peer, now, &effects)
        }
        conclude()
        if outcome != nil { deadline = .distantFuture }
    }

    /// It was away, or begins anew: how long it was silent before tells nothing of now.
    package mutating func meetsAnew(_ peer: NodeID) {
        guard settings.peers.contains(peer) else { return }
        sources[peer] = Source(Patience(settings.askEvery, most: settings.patienceMax))
    }

    /// The lowest index that a base has to reach to be of use; nil where none is needed.
    func baseNeeded(at now: Instant) -> LogIndex? {
        let compacted = rounds > 0 ? highestCompacted(at: now) : nil
        let own = need.base.map { _ in need.basePosition.index }
        // A base of who has applied an index and lacks the entry stands for what is committed there. Every
        // other round: nobody may have got that far.
        let isWanted = compacted != nil || own != nil || taken != nil
        let isTurn = isWanted ? rounds % 2 == 1 : rounds > settings.roundsUntilBase
        return [compacted, own, isTurn ? highest(.lacks) : nil].compactMap(\.self).max()
    }

    /// What one has compacted another may be giving, a window after the other: a base would take its place
    /// and make a copy of a replica that could have been whole. A witness has compacted nearly all there is.
    private func highestCompacted(at now: Instant) -> LogIndex? {
        let givers = sources.filter { !$0.value.given(at: now).isEmpty }.map(\.key)
        return need.entries.last { entry in
            answers.values.contains { $0[entry.index] == .compacted }
                && givers.allSatisfy { answers[$0]?[entry.index] != nil }
        }?.index
    }

    /// Of what is still missing, where a peer said so.
    private func highest(_ answer: MendMessage.Answer) -> LogIndex? {
        need.entries.last { entry in answers.values.contains { $0[entry.index] == answer } }?.index
    }

    private mutating func conclude() {
        guard need.base == nil else { return }
        guard let first = need.entries.first else {
            return outcome = taken.map { .base($0) } ?? .whole
        }
        let isNowhere = settings.peers.allSatisfy { answers[$0]?[first.index] == .lacks }
        if taken == nil, isNowhere, first.index > need.commit, !settings.peers.isEmpty {
            outcome = .cut(before: first.index)
        }
    }
}
