internal import Admin
internal import Mesh

extension Sight {
    /// One alarm for each kind and whom it is about, however many nodes saw it.
    var incidentAlarms: [Alarm] {
        var groups: [[Incident]] = []
        for incident in incidents.standing {
            let at = groups.firstIndex {
                $0[0].id.kind == incident.id.kind && $0[0].id.about == incident.id.about
            }
            if let at { groups[at].append(incident) } else { groups.append([incident]) }
        }
        return groups.map(alarm(of:)) + lossAlarms(groups)
    }

    private func alarm(of group: [Incident]) -> Alarm {
        let first = group[0].id
        let witnesses = Set(group.map(\.id.seenBy)).sorted().map { "\($0)" }
        let seen =
            "seen by node \(witnesses.joined(separator: ", ")) on \(utc(first.at / 1_000))"
        let isOpen = group.contains { $0.state == .open }
        switch first.kind {
        case .replicaLost:
            let loss = peers.first { $0.node == first.about }?.loss
            return replicaLost(
                first.about, up: first.index, isOpen: isOpen && loss?.isMadeGood != true, seen,
                since: first.at / 1_000)
        case .contradiction:
            return alarm(
                .contradiction, .critical, since: first.at / 1_000,
                "leader \(first.about) contradicted what is committed, at entry "
                    + "\(first.index): voters have lost what they had promised (\(seen))",
                do: "stop the clients, keep the disks of all members as they are, and see "
                    + "whose was emptied or rolled back; " + Self.clearing(.contradiction))
        case .logCut:
            return alarm(
                .logCut, .critical, since: first.at / 1_000,
                "an operator ended the damaged log of node \(first.about) before entry "
                    + "\(first.index): what it held from there on is given up (\(seen))",
                do:
                    "check what the volumes hold against what their clients know; who did it, and what "
                    + "was lost, says `log-cuts` in that node's data directory; "
                    + Self.clearing(.logCut))
        }
    }

    /// A loss that lasts is told even when somebody cleared what was seen of it.
    private func lossAlarms(_ groups: [[Incident]]) -> [Alarm] {
        peers.compactMap { peer in
            let isTold = groups.contains {
                $0[0].id.kind == .replicaLost && $0[0].id.about == peer.node
            }
            guard let loss = peer.loss, !loss.isMadeGood, !isTold else { return nil }
            return replicaLost(
                peer.node, up: loss.acknowledged, isOpen: true, "it lasts", since: nil)
        }
    }

    private func replicaLost(
        _ node: NodeID, up index: LogIndex, isOpen: Bool, _ seen: String, since: UInt64?
    ) -> Alarm {
        let region = node == own ? region : peers.first { $0.node == node }?.region
        let name = "node \(node)" + (region.map { " in \($0)" } ?? "")
        guard isOpen else {
            return alarm(
                .replicaLost, .warning, since: since,
                "\(name) had lost writes that it had acknowledged, up to entry \(index), and "
                    + "holds them again (\(seen))",
                do: "find out what happened to its disk; " + Self.clearing(.replicaLost))
        }
        return alarm(
            .replicaLost, .critical, since: since,
            "\(name) lost writes that it had acknowledged, up to entry \(index): its disk "
                + "was emptied or rolled back (\(seen)). It counts for nothing until it holds them "
                + "again and every voter was heard",
            do: "keep all other members up until then, and find out what happened to its disk; "
                + "see \"An emptied data directory\" in docs/operations.md; "
                + Self.clearing(.replicaLost))
    }

    private static func clearing(_ code: AlarmCode) -> String {
        "then `holdfast alarm clear \(code.rawValue)`"
    }
}
