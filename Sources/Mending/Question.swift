internal import Mesh

/// Something that one peer was asked for, until it answers or has been silent for too long.
///
/// On any link it ends: an answer that takes longer than the patience has it doubled each time, and
/// nothing shortens it but an answer, which counts from the first asking.
struct Question: Sendable {
    private var patience: Patience
    /// Since then the next answer is waited for; nil where nothing is.
    private var since: Instant?
    private var lostAt = Instant.zero
    /// So often it was lost since then.
    private var losses = 0
    /// So many letters may be lost one after the other by chance; behind that the peer counts as dead.
    private static let lossesByChance = 2

    init(_ patience: Patience) { self.patience = patience }

    /// An answer may still come: to ask once more would only stand in its way.
    func isOpen(at now: Instant) -> Bool { since != nil && now < lostAt }
    var isInVain: Bool { losses > Self.lossesByChance }

    mutating func asked(at now: Instant) {
        if since != nil, now >= lostAt {
            patience.endedInVain()
            losses += 1
        }
        since = since ?? now
        lostAt = now + patience.limit
    }

    /// The peer says something that was said before, behind which the answer may stand.
    mutating func heard(at now: Instant) { lostAt = max(lostAt, now + patience.limit) }

    mutating func answered(at now: Instant, isOver: Bool) {
        guard let since else { return }
        patience.wasAnswered(after: now.since(since))
        (self.since, losses) = (isOver ? nil : now, 0)
        lostAt = now + patience.limit
    }
}
