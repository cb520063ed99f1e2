internal import Admin
package import Mesh

/// Of replicas that lack what the log no longer holds.
extension Sight {
    var resyncAlarms: [Alarm] {
        guard let resync else { return [] }
        let others = peers.filter(\.isData)
        guard !others.contains(where: { $0.isHeard && $0.resync == nil }) else {
            return [copying("this node", resync)]
        }
        let names = others.map { "node \($0.node) in \($0.region)" }.joined(separator: " or ")
        return [
            alarm(
                .noWholeReplica, .critical,
                "the volumes here lack what the log no longer holds (\(resync.words)), and no "
                    + "member that has it is heard here: this one serves nothing",
                do: "bring \(names.isEmpty ? "another data member" : names) up again with its disk")
        ]
    }

    func resyncAlarms(_ peer: Peer, _ name: String) -> [Alarm] {
        guard peer.isData, let resync = peer.resync else { return [] }
        return [copying(name, resync)]
    }

    private func copying(_ name: String, _ resync: ResyncStanding) -> Alarm {
        alarm(
            .resync, .warning,
            "\(name) was away for longer than the log reaches, and copies what it lacks: "
                + "\(resync.words). Until then it can't take over",
            do: "keep the primary up until it is done; see \"A member that was away for long\" "
                + "in docs/operations.md")
    }
}

extension ResyncStanding {
    var words: String {
        guard isCopying else { return "what it lacks is not known yet" }
        guard missingByteCount > 0 else { return "all is copied, the log is being applied" }
        return "\(percent) % done, \(missingByteCount >> 20) MiB left"
    }

    /// Rounded down: at 100 nothing is left to be copied, but the log may have to be applied.
    package var percent: UInt64 {
        let whole = max(wholeByteCount, missingByteCount, 1)
        // Hearsay: a hundred times what a peer claims need not fit a word.
        return whole.dividingFullWidth((whole - missingByteCount).multipliedFullWidth(by: 100))
            .quotient
    }
}
