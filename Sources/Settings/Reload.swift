package import Mesh

extension AgentSettings {
    /// Why a running node can't go on with `new`, all reasons at once; none where only other members
    /// come and go, move to other addresses, or are preferred otherwise. `members` still vote or
    /// listen.
    package func refusals(of new: AgentSettings, members: [NodeID]) -> [String] {
        own(new) + others(new, members)
    }

    private func own(_ new: AgentSettings) -> [String] {
        var all: [String] = []
        func same<Value: Equatable>(_ key: String, _ part: (AgentSettings) -> Value) {
            if part(self) != part(new) {
                all.append("\(key) has changed; restart this node, if it is meant to")
            }
        }
        if cluster.cluster != new.cluster.cluster {
            all.append("cluster has changed: it is another mesh's file")
        }
        if node.node != new.node.node { all.append("node has changed: it is another node's file") }
        if member.region != new.member.region || member.role != new.member.role {
            all.append("region or role of this node has changed: give it a new id instead")
        }
        same("the address of this node") { $0.member.address }
        same("lease") { $0.cluster.lease }
        same("data") { $0.node.data }
        same("run") { $0.node.run }
        same("tls") { $0.node.tls }
        same("nbd") { $0.node.nbd }
        same("logKept") { $0.node.logKept }
        same("resyncRate") { $0.node.resyncRate }
        same("backup") { $0.node.backup }
        same("log") { [$0.node.logLevel.rawValue, $0.node.logFormat.rawValue] }
        return all
    }

    private func others(_ new: AgentSettings, _ members: [NodeID]) -> [String] {
        var all: [String] = []
        for old in cluster.members where old.id != member.id {
            guard let same = new.cluster.members.first(where: { $0.id == old.id }) else {
                if members.contains(old.id) {
                    all.append(
                        "node \(old.id) is missing and still a member: `holdfast members remove "
                            + "\(old.id)` first")
                }
                continue
            }
            if same.region != old.region || same.role != old.role {
                all.append("node \(old.id) has another region or role: give it a new id instead")
            }
        }
        return all
    }
}
