package import Mesh
internal import Planted

/// What a leader knows of a witness besides its progress (ADR 2).
package struct WitnessFeed: Hashable, Sendable {
    /// Whether entries go there, because too few data voters keep up without it.
    package var streams = false
    /// Where its log begins, as it last told; nil until it has spoken in this term.
    package var base: LogIndex?
    /// The highest base that it told of, and the newest round of that time.
    private var told: Move?
    /// The highest index that was committed when the witness was asked for it, and that it did not
    /// hold (rule 2).
    private(set) var absent: LogIndex = .zero
    /// The newest base move, and the round that it went with: there is at most one a round.
    var move: Move?
    /// The heartbeats that asked so, oldest first.
    private var questions: [Question] = []

    struct Move: Hashable, Sendable {
        let round: UInt64
        let target: LogIndex
    }

    private struct Question: Hashable, Sendable {
        let round: UInt64
        let index: LogIndex
    }

    /// Whether it tells of an older base than it had when it was asked.
    mutating func lostBase(_ base: LogIndex, in answered: UInt64, newest round: UInt64) -> Bool {
        if let told, base <= told.target { return base < told.target && answered > told.round }
        told = Move(round: round, target: base)
        return false
    }

    private static var questionsMax: Int { 64 }

    mutating func asked(_ index: LogIndex, in round: UInt64) {
        if questions.count == Self.questionsMax { questions.removeFirst() }
        questions.append(Question(round: round, index: index))
    }

    /// A witness that has lost its log lacks what once counted there: its answers to what was asked
    /// until now say nothing of who holds it, and its base begins anew.
    mutating func disregardPast() {
        told = nil
        questions = questions.map { Question(round: $0.round, index: .zero) }
    }

    /// Whether that round was such a question.
    mutating func answered(_ round: UInt64, holds: Bool) -> Bool {
        guard let at = questions.firstIndex(where: { $0.round == round }) else { return false }
        if !holds || isPlanted(.takesHeldForAbsent) { absent = max(absent, questions[at].index) }
        questions.remove(at: at)
        return true
    }
}
