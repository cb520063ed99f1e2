internal import Admin

/// Of snapshots that ended before anybody deleted them.
extension Sight {
    package struct Snapshot: Hashable, Sendable {
        package let name: String
        package let why: String
        package init(name: String, why: String) { (self.name, self.why) = (name, why) }
    }

    /// More are counted.
    private static let snapshotsNamedMax = 4

    var snapshotAlarms: [Alarm] {
        guard !snapshots.isEmpty else { return [] }
        let named = snapshots.prefix(Self.snapshotsNamedMax).map { "\($0.name) (\($0.why))" }
        let rest = snapshots.count - named.count
        let more = rest > 0 ? ", and \(rest) more" : ""
        return [
            alarm(
                .snapshotLost, .warning,
                "this node no longer holds what was asked of it as a snapshot: "
                    + named.joined(separator: ", ") + more,
                do: "`holdfast snapshot delete NAME` once you have seen it; docs/snapshots.md")
        ]
    }
}
