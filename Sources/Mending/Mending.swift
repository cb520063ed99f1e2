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
        /// How long a peer may take for what it was asked, and the pause after all were.
        package var askEvery = Interval.milliseconds(400)
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
    package private(set) var need: Need
    package private(set) var outcome: Outcome?
    package private(set) var deadline: Instant
    /// What peers said of entries that are still missing.
    package private(set) var answers: [NodeID: [LogIndex: MendMessage.Answer]] = [:]
    /// Whether some peer is known to have whole volumes. A base says nothing of them: who takes one goes
    /// without the entries below it, and must not be the last that had them.
    package var hasWholePeer = false
    /// How often all peers were asked.
    package private(set) var rounds = 0

    /// Where in `peers` the one is that is asked now.
    private var turn = 0
    /// What it was asked for and has not answered.
    private var asked: Set<EntryIdentity> = []
    /// Entries up to here it was asked for in this turn.
    private var cursor = LogIndex.zero
    private var hasAskedBase = false
    private var arriving: Arriving?
    private var taken: Base?

    struct Arriving: Sendable {
        let base: BaseIdentity
        var bytes: [UInt8] = []
    }

    package init(_ settings: Settings, _ need: Need, session: MendSession, at now: Instant) {
        self.settings = settings
        self.session = session
        self.need = need
        deadline = now
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

    /// The lowest index that a base has to reach to be of use; nil where none is needed.
    private var baseNeeded: LogIndex? {
        let compacted = rounds > 0 ? highest(.compacted) : nil
        let own = need.base.map { _ in need.basePosition.index }
        // A base of who has applied an index and lacks the entry stands for what is committed there. Every
        // other round: nobody may have got that far.
        let isWanted = compacted != nil || own != nil || taken != nil
        let isTurn = isWanted ? rounds % 2 == 1 : rounds > settings.roundsUntilBase
        return [compacted, own, isTurn ? highest(.lacks) : nil].compactMap(\.self).max()
    }

    /// Of what is still missing, where a peer said so.
    private func highest(_ answer: MendMessage.Answer) -> LogIndex? {
        need.entries.last { entry in answers.values.contains { $0[entry.index] == answer } }?.index
    }
}

extension Mending {
    private mutating func visitNext(_ now: Instant, _ effects: inout [Effect]) {
        guard !settings.peers.isEmpty else { return deadline = .distantFuture }
        // It may be silent over one entry alone, and have a base that stands for it.
        if rounds > 0, !hasAskedBase, let least = baseNeeded {
            asked = []
            return askBase(atLeast: least, now, &effects)
        }
        turn += 1
        if turn >= settings.peers.count {
            turn = 0
            rounds += 1
        }
        begin(now, &effects)
    }

    private mutating func begin(_ now: Instant, _ effects: inout [Effect]) {
        (asked, cursor, hasAskedBase, arriving) = ([], .zero, false, nil)
        go(now, &effects)
    }

    /// Asks the present peer for the next of what it may have; all of it asked, the next one's turn
    /// comes when the pause is over.
    private mutating func go(_ now: Instant, _ effects: inout [Effect]) {
        deadline = now + settings.askEvery
        let peer = settings.peers[turn]
        let window = window
        if let last = window.last {
            (asked, cursor) = (Set(window), last.index)
            effects.append(.send(.ask(session, window), to: peer))
        } else if let least = baseNeeded, !hasAskedBase || arriving != nil {
            askBase(atLeast: least, now, &effects)
        }
    }

    private mutating func askBase(
        atLeast least: LogIndex, _ now: Instant, _ effects: inout [Effect]
    ) {
        (hasAskedBase, deadline) = (true, now + settings.askEvery)
        let offset = UInt64(arriving?.bytes.count ?? 0)
        let ask = MendMessage.askBase(
            atLeast: least, of: arriving?.base ?? .none, offset: offset)
        effects.append(.send(ask, to: settings.peers[turn]))
    }

    /// The next entries that the present peer was not asked for.
    private var window: [EntryIdentity] {
        var window: [EntryIdentity] = []
        var byteCount = 0
        for entry in need.entries where entry.index > cursor {
            byteCount += Int(entry.byteCount)
            guard window.count < min(settings.windowEntriesMax, MendMessage.entriesMax),
                window.isEmpty || byteCount <= settings.windowByteCountMax
            else { break }
            window.append(entry)
        }
        return window
    }

    private mutating func received(
        _ message: MendMessage, _ peer: NodeID, _ now: Instant, _ effects: inout [Effect]
    ) {
        guard settings.peers.contains(peer) else { return }
        switch message {
        case .give(let entry): given(entry, &effects)
        case .say(session, let answer, let entries): said(answer, entries, peer)
        case .basePiece(let piece):
            guard peer == settings.peers[turn] else { return }
            guard take(piece, &effects) else { return }
            return go(now, &effects)
        case .ask, .askBase, .say: return
        }
        let wasAsked = !asked.isEmpty
        asked.formIntersection(need.entries.filter { answers[peer]?[$0.index] == nil })
        if wasAsked, asked.isEmpty, peer == settings.peers[turn] { go(now, &effects) }
    }

    private mutating func given(_ entry: Entry, _ effects: inout [Effect]) {
        guard let at = need.entries.firstIndex(of: entry.identity) else { return }
        need.entries.remove(at: at)
        for peer in answers.keys { answers[peer]?[entry.index] = nil }
        effects.append(.restore(entry))
    }

    private mutating func said(
        _ answer: MendMessage.Answer, _ entries: [EntryIdentity], _ peer: NodeID
    ) {
        for entry in entries where need.entries.contains(entry) {
            answers[peer, default: [:]][entry.index] = answer
        }
    }

    /// False where the piece is of no use.
    private mutating func take(_ piece: BasePiece, _ effects: inout [Effect]) -> Bool {
        guard let least = baseNeeded, piece.base.position.index >= least else { return false }
        if arriving?.base != piece.base { arriving = Arriving(base: piece.base) }
        guard var now = arriving, piece.offset == UInt64(now.bytes.count) else { return false }
        now.bytes += piece.bytes
        arriving = now
        guard now.bytes.count == Int(piece.base.byteCount) else { return !piece.bytes.isEmpty }
        arriving = nil
        let base = Base(position: piece.base.position, contents: now.bytes)
        guard BaseIdentity(base) == piece.base else { return false }
        if BaseIdentity(base) == need.base {
            need.base = nil
            effects.append(.restoreBase(base))
        } else if base.position.index > need.basePosition.index, hasWholePeer {
            taken = base
            need.base = nil
            need.entries.removeAll { $0.index <= base.position.index }
        }
        return true
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
