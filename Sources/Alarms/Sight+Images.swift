internal import Admin
internal import Mesh

/// Of images that hold what was never written (ADR 8).
extension Sight {
    var imageAlarms: [Alarm] {
        let hasSource = peers.contains { $0.isData && $0.isHeard && $0.resync == nil }
        return imageDamage.map { damage in
            let places = damage.ranges.map { "\($0.lowerBound)..<\($0.upperBound)" }
            let isAll = damage.ranges.reduce(0) { $0 + UInt64($1.count) } / 4_096
            let more = isAll < UInt64(damage.blocks) ? " and more" : ""
            return alarm(
                .volumeDamaged, hasSource ? .warning : .critical,
                "\(counted(damage.blocks, "block", "blocks")) of volume \(damage.volume) "
                    + "\(damage.blocks == 1 ? "is" : "are") damaged on this node's disk (bytes "
                    + "\(places.joined(separator: ", "))\(more)): "
                    + (hasSource
                        ? "they are taken from another replica"
                        : "no other whole replica is heard, and reading them fails"),
                do: "see whether the disk fails; bring the other data members up. What is written "
                    + "anew is whole again; see \"Damaged blocks\" in docs/operations.md")
        }
    }

    /// One of a volume and another member: which of the two is right only a third one, or a guest's own checks, can tell.
    var differenceAlarms: [Alarm] {
        let pairs = Dictionary(grouping: differences) { "\($0.volume) \($0.node)" }
        return pairs.sorted { $0.key < $1.key }.compactMap { _, all in
            guard let first = all.first else { return nil }
            let places = all.prefix(Self.rangesShownMax).map {
                "\($0.range.lowerBound)+\($0.range.count)"
            }
            let more = all.count > places.count ? " and more" : ""
            return alarm(
                .replicasDiffer, .critical,
                "node \(first.node) has other bytes of volume \(first.volume) than this node, at "
                    + "\(places.joined(separator: ", "))\(more): a takeover would change what the guest reads",
                do:
                    "find out who is wrong and have it take them anew: \"Replicas that differ\" in docs/operations.md"
            )
        }
    }
    private static let rangesShownMax = 4
}
