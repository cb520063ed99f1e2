internal import Alarms
internal import Decisions
internal import Gossip
internal import Mesh
internal import NIOCore
internal import Node
internal import Raft
internal import Record
internal import Transport
internal import VolumeCore
internal import Voting
internal import Wire

/// Something of every kind that our encoders write.
enum Samples {
    static let cluster = ClusterID(high: 0x5f0c_3a7e_9b2d_48c1, low: 0xa6e4_f7d0_8b15_c392)
    static let group = GroupID(1)
    static let (oslo, faro) = (region("oslo"), region("faro"))

    private static func region(_ text: String) -> RegionName {
        guard let name = RegionName(text) else {
            invariant(false, "\(text) is no region's name")
            return region("a")
        }
        return name
    }

    private static func position(_ index: UInt64, _ term: UInt64) -> Position {
        Position(index: LogIndex(index), term: Term(term))
    }

    private static func seal(_ draft: consuming Draft, _ index: UInt64, _ term: UInt64) -> Entry {
        draft.sealed(at: position(index, term), group: group, time: WallTime(1_700_000_000))
    }

    static let entries: [Entry] = [
        seal(Draft(.blank, epoch: Epoch(3)), 1, 1),
        seal(Draft(.membership, epoch: .zero, payload: memberships[0].dropFirst()), 2, 1),
        seal(
            Draft(
                .command, epoch: Epoch(3), session: SessionID(2), sequence: 9,
                payload: commands[2].encoded(request: 5)), 3, 2),
        seal(write.draft, 4, 2),
        seal(
            VolumeWrite(
                zeroing: .zeroes, volume: VolumeID(1), offset: 0, byteCount: 4_096,
                keepsAllocated: true, generation: write.generation, number: 2
            ).draft, 5, 2),
        seal(Draft(.stream, epoch: Epoch(3), payload: [1, 2, 3]), 6, 2),
    ]

    private static let write = VolumeWrite(
        volume: VolumeID(1), offset: 512, generation: ExportGeneration(epoch: Epoch(3), opening: 1),
        number: 1, data: [1, 2, 3, 4, 5, 6, 7, 8])

    static let letters: [[UInt8]] = bodies.map {
        Letter(from: NodeID(1), to: NodeID(2), group: group, term: Term(4), body: $0).encoded
    }

    private static let bodies: [Letter.Body] = [
        .preVote(last: position(9, 3)), .preVoteAnswer(granted: true),
        .vote(last: position(9, 3)), .voteAnswer(granted: false),
        .append(previous: .zero, commit: .zero, entries: []),
        .append(previous: position(0, 0), commit: LogIndex(2), entries: Array(entries[..<3])),
        .append(previous: position(3, 2), commit: LogIndex(3), entries: Array(entries[3...])),
        .appended(through: LogIndex(6)),
        .appendRefused(previous: LogIndex(9), hint: position(6, 2)),
        .heartbeat(
            Letter.Heartbeat(
                previous: position(6, 2), commit: LogIndex(5), floor: LogIndex(4), round: 77,
                measured: .milliseconds(12))),
        .heard(round: 77, holds: true, through: LogIndex(6), base: LogIndex(2)),
        .heard(round: 78, holds: false, isWhole: false, through: .zero, base: .zero),
        .snapshot(
            Letter.SnapshotChunk(
                position: position(6, 2), byteCount: 100, checksum: 0x1234_5678, offset: 40,
                bytes: [9, 8, 7])),
        .snapshotHeard(position: position(6, 2), offset: 43), .timeoutNow, .outdated,
    ]

    static let joint = Membership(
        voters: Electorate(data: [NodeID(1), NodeID(2)], witness: NodeID(3)),
        outgoing: Electorate(data: [NodeID(1), NodeID(4)]), learners: [NodeID(5)],
        preferred: [NodeID(2), NodeID(1)])

    /// Alone, and in a base.
    static let memberships: [[UInt8]] = [
        [0] + Membership(voters: Electorate(data: [NodeID(1), NodeID(2), NodeID(3)])).encoded,
        [0] + joint.encoded,
        [Mode.second]
            + Base(position: position(7, 2), membership: joint, state: decisions[1].encoded)
            .contents,
    ]

    static let commands: [Command] =
        [
            .promote(node: NodeID(1), epoch: Epoch(1), warrant: .firstPrimary),
            .promote(node: NodeID(2), epoch: Epoch(2), warrant: .leaseEnded(renewal: LogIndex(2))),
            .createVolume(name: "db-1", byteCount: 1 << 30, durability: .sync),
            .createVolume(name: "scratch", byteCount: 4_096, durability: .async),
            .growVolume(VolumeID(1), byteCount: 2 << 30),
            .deleteVolume(VolumeID(1)), .prefer(faro), .relinquish(epoch: Epoch(1)),
            .promote(node: NodeID(2), epoch: Epoch(2), warrant: .relinquished(at: LogIndex(7))),
            .changeMembers(.add(Newcomer(node: NodeID(4), region: oslo))), .cancelMembers,
            .raiseLevel(.spoken),
            .changeMembers(
                .replace(NodeID(1), with: Newcomer(node: NodeID(5), region: faro))),
            .changeMembers(.remove(NodeID(3))),
        ] + backups.map { .backup($0) }

    /// One that is made, one that is taken over, and one that fails.
    static let backups: [BackupNews] = [
        .made(
            BackupDuty.Made(number: 7, node: NodeID(2), asOf: WallTime(90), isFull: true),
            claim: nil),
        .claimed(slot: WallTime(95), isFull: false, by: NodeID(2), over: nil),
        .renewed(claim: LogIndex(15)),
        .claimed(slot: WallTime(95), isFull: false, by: NodeID(2), over: LogIndex(16)),
        .failed(claim: LogIndex(17), words: "no room left"),
    ]

    /// As the commands, one after the other, leave them.
    static let decisions: [Decisions] = {
        var decisions = Decisions(
            seats: [
                Decisions.Seat(node: NodeID(1), region: oslo),
                Decisions.Seat(node: NodeID(2), region: faro),
            ], witness: Decisions.Seat(node: NodeID(3), region: oslo))
        var all = [decisions]
        for (place, command) in commands.enumerated() {
            _ = decisions.apply(
                Decisions.Step(
                    index: decisions.appliedIndex.next, epoch: decisions.tenure.epoch,
                    session: SessionID(UInt64(place % 2) + 1), sequence: UInt64(place / 2) + 1,
                    time: WallTime(100), deed: .command(command)))
            all.append(decisions)
        }
        // As the leader fulfils the wish that stands.
        for roll in [
            Roll(data: [NodeID(1), NodeID(2)], learners: [NodeID(5)]),
            Roll(data: [NodeID(2), NodeID(5)], isJoint: true),
            Roll(data: [NodeID(2), NodeID(5)]),
        ] {
            _ = decisions.apply(
                Decisions.Step(
                    index: decisions.appliedIndex.next, epoch: .zero, deed: .membership(roll)))
            all.append(decisions)
        }
        return all
    }()

    static let hellos = [
        Hello(
            PeerName(cluster: cluster, region: oslo, node: NodeID(1)), lane: .consensus,
            featureLevel: 1),
        Hello(
            PeerName(cluster: cluster, region: faro, node: NodeID(2)), lane: .bulk, featureLevel: 2),
    ]

    /// A lane, a seed of pieces, and a stream.
    static let frames: [[UInt8]] = [
        [3, 1] + frame(.hello, hellos[0].encoded),
        [0, 7] + letters.prefix(4).flatMap { frame(.payload, $0) },
        [1, 130] + frame(.ping, [1, 2, 3, 4, 5, 6, 7, 8]) + frame(.pong, [1, 2, 3, 4, 5, 6, 7, 8]),
        [2, 60] + frame(.payload, []) + frame(.refusal, [RefusalCause.wrongCluster.rawValue]),
    ]

    private static func frame(_ kind: FrameKind, _ payload: [UInt8]) -> [UInt8] {
        Array(ByteBuffer.frame(kind, [payload], ByteBufferAllocator()).readableBytesView)
    }

    static let notes: [Note] = [
        .propose(sequence: 4, payload: commands[5].encoded), .handOver(faro),
        .declined(faro, reason: "zu weit zurück"), .former,
    ]
}
