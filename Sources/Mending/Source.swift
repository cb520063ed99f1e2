internal import Mesh
internal import Record

extension Mending {
    /// What was asked of one peer.
    struct Source: Sendable {
        /// Entries that it has not answered.
        var asked: Set<EntryIdentity> = []
        var askedAt = Instant.zero
        /// Whether it gave anything of what it was asked for last.
        private var isGiving = false
        /// What it is asked for at once: more where that takes no longer than a turn.
        var windowByteCount = MendMessage.pieceByteCount
        var entries: Question
        var base: Question
        /// A base that it was asked for reaches so far; nil where it was asked for none.
        var leastBase: LogIndex?

        init(_ patience: Patience) {
            (entries, base) = (Question(patience), Question(patience))
        }

        /// What is on its way from it.
        func given(at now: Instant) -> Set<EntryIdentity> {
            isGiving && entries.isOpen(at: now) ? asked : []
        }

        mutating func ask(_ window: [EntryIdentity], at now: Instant) {
            // Of an entry that it has and can't read it says nothing, and another has to be asked.
            if !asked.isEmpty { isGiving = false }
            (asked, askedAt) = (Set(window), now)
            entries.asked(at: now)
        }

        /// It gave an entry, or said what it has to say of some; `missing` is what it may still give. False
        /// where it was not asked for that.
        mutating func answered(
            but missing: Set<EntryIdentity>, gave: Bool, at now: Instant, _ settings: Settings
        ) -> Bool {
            let before = asked.count
            asked.formIntersection(missing)
            guard asked.count < before else { return false }
            isGiving = isGiving || gave
            entries.answered(at: now, isOver: asked.isEmpty)
            guard asked.isEmpty else { return true }
            let isQuick = now.since(askedAt) <= settings.askEvery
            let window = isQuick ? windowByteCount * 2 : windowByteCount / 2
            windowByteCount = max(
                MendMessage.pieceByteCount, min(window, settings.windowByteCountMax))
            return true
        }
    }

    /// A base of which some pieces are here.
    struct Arriving: Sendable {
        let base: BaseIdentity
        var giver: NodeID
        var bytes: [UInt8] = []
    }
}
