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
        try backUp(&decisions)
        try changeMembers(&decisions)
        try promise(
            try Decisions(parsing: decisions.encoded) == decisions,
            "decisions that went on are read back as they were")
        return .accepted
    }

    /// A claim that is taken is the only one, and what comes of it counts once.
    private static func backUp(_ decisions: inout Decisions) throws {
        guard let node = decisions.seats.first?.node else { return }
        let slot = WallTime(.max)
        func say(_ news: BackupNews) throws { try apply(.command(.backup(news)), to: &decisions) }
        try say(
            .claimed(slot: slot, isFull: false, by: node, over: decisions.backups.claim?.renewal))
        guard let claim = decisions.backups.claim, claim.slot == slot, claim.since == claim.renewal,
            claim.since == decisions.appliedIndex
        else { return }
        let made = BackupDuty.Made(number: 1, node: node, asOf: slot, isFull: false)
        try say(.made(made, claim: claim.since))
        let duty = decisions.backups
        try promise(duty.claim == nil && duty.settled == slot, "what is made settles its slot")
        try say(.made(made, claim: claim.since))
        try promise(decisions.backups == duty, "no outcome counts twice")
    }

    /// Whoever leaves never comes back.
    private static func changeMembers(_ decisions: inout Decisions) throws {
        let newcomer = Newcomer(node: NodeID(77), region: Samples.oslo)
        let leaving = decisions.seats.last?.node
        let change = leaving.map { MemberChange.replace($0, with: newcomer) } ?? .add(newcomer)
        try apply(.command(.changeMembers(change)), to: &decisions)
        guard let wish = decisions.wish else { return }
        let coming = wish.change.coming.flatMap { $0.isWitness ? nil : $0.node }
        let data =
            decisions.seats.map(\.node).filter { $0 != wish.change.leaving && $0 != coming }
            + (coming.map { [$0] } ?? [])
        for isJoint in [true, false] {
            try apply(.membership(Roll(data: data, isJoint: isJoint)), to: &decisions)
        }
        try promise(decisions.wish == nil, "a wish whose voters decide alone is fulfilled")
        if let leaving = wish.change.leaving {
            try promise(
                decisions.former.contains(leaving) && !decisions.isMember(leaving),
                "who left is remembered")
        }
    }

    private static func apply(
        _ deed: Decisions.Deed, to decisions: inout Decisions,
        _ session: Decisions.Image.Session? = nil
    ) throws {
        let index = decisions.appliedIndex.next
        _ = decisions.apply(
            Decisions.Step(
                index: index, epoch: decisions.tenure.epoch, session: session?.id ?? .none,
                sequence: session.map { $0.lastSequence + 1 } ?? 0, time: WallTime(.max),
                deed: deed))
        try promise(decisions.appliedIndex == index, "an entry takes the decisions one further")
        try promise(decisions.volumes.count <= Decisions.volumesMax, "volumes are bounded")
    }
}
