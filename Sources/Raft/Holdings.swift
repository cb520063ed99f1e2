internal import Mesh
internal import Planted

/// What a leader knows of who holds what. Apart from the core, because who counts a quorum asks it in a
/// closure: one that asked the core would be given a copy of all of it.
struct Holdings {
    let seat: NodeID
    /// Durable here.
    let own: LogIndex
    let progress: [Progress]

    /// What a member durably holds of this term's log; 0 if that is not known or doesn't count.
    func acknowledged(by node: NodeID) -> UInt64 {
        if node == seat { return own.rawValue }
        guard let at = place(of: node), !progress[at].isForgetful else { return 0 }
        return progress[at].match.rawValue
    }

    /// Up to where its volumes are known to be whole as well.
    func whole(by node: NodeID) -> UInt64 {
        min(acknowledged(by: node), knownWhole(node).rawValue)
    }

    private func knownWhole(_ node: NodeID) -> LogIndex {
        if node == seat || isPlanted(.countsPartialAsWhole) { return .countMax }
        guard let at = place(of: node), !progress[at].isPartial else { return .zero }
        return progress[at].wholeThrough
    }

    // By index: a closure would be given a copy of each.
    private func place(of node: NodeID) -> Int? {
        for at in progress.indices where progress[at].node == node { return at }
        return nil
    }
}
