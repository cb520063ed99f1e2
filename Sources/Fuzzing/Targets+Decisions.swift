internal import Decisions
internal import Mesh
internal import Wire

extension FuzzTarget {
    static let decisions = [
        FuzzTarget(
            "command", byteCountMax: 256,
            seeds: { Samples.commands.map { $0.encoded(request: 7) } },
            body: command),
        FuzzTarget(
            "snapshot", byteCountMax: 512, seeds: { Samples.decisions.map(\.encoded) },
            body: snapshot),
    ]

    /// A command is read back as it was, and whatever it asks, the mesh goes on.
    private static func command(_ bytes: [UInt8]) throws -> Verdict {
        guard let command = try? Command(parsing: bytes) else { return .refused }
        try promise(
            try Command(parsing: command.encoded) == command, "a command is read back as it was")
        for known in Samples.decisions {
            var decisions = known
            try apply(.command(command), to: &decisions)
        }
        return .accepted
    }

    /// Decisions are read back as they were, and go on.
    private static func snapshot(_ bytes: [UInt8]) throws -> Verdict {
        guard var decisions = try? Decisions(parsing: bytes) else { return .refused }
        try promise(
            try Decisions(parsing: decisions.encoded) == decisions,
            "decisions are read back as they were")
        let epoch = decisions.tenure.epoch
        try apply(.blank, to: &decisions)
        for session in decisions.image.sessions.prefix(2) {
            try apply(.record, to: &decisions, session)
        }
        try apply(
            .command(.promote(node: NodeID(1), epoch: epoch.next, warrant: .firstPrimary)),
            to: &decisions)
        let ids = decisions.volumes.map(\.id)
        try apply(
            .command(.createVolume(name: "new", byteCount: 4_096, durability: .sync)),
            to: &decisions)
        if let last = decisions.volumes.last, decisions.volumes.count > ids.count {
            try promise(!ids.contains(last.id), "no id is used twice")
        }
        try promise(
            try Decisions(parsing: decisions.encoded) == decisions,
            "decisions that went on are read back as they were")
        return .accepted
    }

    private static func apply(
        _ deed: Decisions.Deed, to decisions: inout Decisions,
        _ session: Decisions.Image.Session? = nil
    ) throws {
        let index = decisions.appliedIndex.next
        _ = decisions.apply(
            Decisions.Step(
                index: index, epoch: decisions.tenure.epoch, session: session?.id ?? .none,
                sequence: session.map { $0.lastSequence + 1 } ?? 0, deed: deed))
        try promise(decisions.appliedIndex == index, "an entry takes the decisions one further")
        try promise(decisions.volumes.count <= Decisions.volumesMax, "volumes are bounded")
    }
}
