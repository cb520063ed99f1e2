internal import Alarms
internal import Gossip
internal import Mesh
internal import VolumeCore
internal import Voting

extension Samples {
    private static let incidents: Incidents = {
        var incidents = Incidents()
        incidents.note(
            .replicaLost, about: NodeID(2), index: LogIndex(40), seenBy: NodeID(1), at: 1_000)
        incidents.note(
            .contradiction, about: NodeID(3), index: LogIndex(41), seenBy: NodeID(1), at: 2_000)
        incidents.madeGood(NodeID(2), seenBy: NodeID(1))
        return incidents
    }()

    private static let bulletin = Bulletin(
        clusterFile: ClusterPrint(members: 0x1234, lease: .milliseconds(400)), incidents: incidents)

    /// Of a member; then the alarms' file.
    static let reports: [[UInt8]] = [
        [0] + whole.encoded, [0] + lacking.encoded, [Mode.second] + incidents.encoded,
    ]

    private static let whole = Report(
        applied: LogIndex(40), last: LogIndex(42), hasRoom: true, bulletin: bulletin.encoded,
        speaks: .spoken, mesh: .first)
    private static let lacking = Report(
        applied: LogIndex(4), last: LogIndex(5), hasRoom: false,
        resync: ResyncStanding(isCopying: true, missingByteCount: 1 << 20, wholeByteCount: 1 << 30),
        speaks: .first, mesh: .first)

    static let gossip: [Gossip.Message] = [
        message(.ping(5)), message(.ack(5)), message(.nack(6)),
        message(.pingRequest(7, target: NodeID(3))),
        message(
            .digest(
                [
                    Gossip.Row(claim: claims[0], register: registers[0].version),
                    Gossip.Row(claim: claims[1], register: .none),
                ], wantsAnswer: true)),
        message(.news, claims, registers),
    ]

    private static func message(
        _ body: Gossip.Body, _ claims: [Gossip.Claim] = [], _ registers: [HealthMap.Register] = []
    ) -> Gossip.Message {
        Gossip.Message(
            sender: NodeID(1), incarnation: Incarnation(3), boot: BootID(0x77), body: body,
            claims: claims, registers: registers)
    }

    private static let claims = [
        Gossip.Claim(NodeID(2), .alive, Incarnation(3), BootID(9)),
        Gossip.Claim(
            NodeID(3), .suspect, Incarnation(4), BootID(8), accusers: [NodeID(1), NodeID(2)]),
        Gossip.Claim(NodeID(4), .dead, Incarnation(4), BootID(8)),
    ]

    private static let registers = [
        HealthMap.Register(
            node: NodeID(2), version: HealthMap.Version(incarnation: Incarnation(3), counter: 8),
            bytes: whole.encoded,
            heard: [
                HealthMap.Heard(node: NodeID(1), agoMilliseconds: 10),
                HealthMap.Heard(node: NodeID(3), agoMilliseconds: 900),
            ])
    ]
}
