package import Mesh
package import Record

/// What a member gives to one whose log is damaged (ADR 7).
extension Raft {
    /// A base that stands for the log up to `least` or beyond: the own one where that reaches so far,
    /// and else one of what was handed out up to `index`, which `state` says. nil where there is none, and
    /// while a change of the voters is under way.
    ///
    /// That is committed and in the log here, which goes on to hold it; whether the volumes have applied
    /// it matters only to a base of this log, and under load they never have.
    package func base(atLeast least: LogIndex, handedOut index: LogIndex, state: [UInt8]) -> Base? {
        if base.position.index >= least, base.position != .zero { return base }
        guard index >= least, index > log.base.index, index <= min(handedIndex, settledIndex),
            let term = log.term(at: index)
        else { return nil }
        return Base(
            position: Position(index: index, term: term), membership: log.membership(at: index),
            state: state)
    }

    /// Of these, what stands in the log, on the disk or on its way to it: of that nobody can say that it
    /// is lacking here.
    package func held(of entries: [EntryIdentity]) -> Set<EntryIdentity> {
        Set(entries.filter { log.term(at: $0.index) == $0.position.term })
    }
}
