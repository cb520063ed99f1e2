internal import Admin
internal import Mesh

/// Of logs that are damaged.
extension Sight {
    var damageAlarms: [Alarm] {
        guard let damage else { return [] }
        let others = peers.map { "node \($0.node) in \($0.region)" }.joined(separator: " and ")
        return [
            alarm(
                .logDamaged, .critical,
                "the log here is damaged, and this node has no vote until it is mended: \(damage)",
                do: others.isEmpty
                    ? "see \"A damaged disk\" in docs/operations.md"
                    : "see that \(others) can be reached: it takes from them what it lacks; then see "
                        + "to this disk, and \"A damaged disk\" in docs/operations.md")
        ]
    }

    func damageAlarms(_ peer: Peer, _ name: String) -> [Alarm] {
        guard peer.isMending else { return [] }
        return [
            alarm(
                .logDamaged, .warning,
                "\(name) has a damaged log and no vote until it is mended",
                do: "keep the others up: it takes from them what it lacks; its own status says what"
            )
        ]
    }
}
