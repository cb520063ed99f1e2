internal import Admin
internal import Control
internal import FoundationEssentials

/// What operators ask, and what they are answered.
enum AdminSamples {
    /// Method, target and body, with zeros between.
    static func requests() throws -> [[UInt8]] {
        let routes: [Route] = [
            .status, .members, .raft, .volumes, .alarms,
            .createVolume(VolumeRequest(name: "db-1", byteCount: 1 << 30, mode: .sync)),
            .growVolume(named: "db-1", VolumeGrowth(byteCount: 1 << 31)),
            .distrustVolume(named: "db-1", VolumeDistrust(offset: 0, byteCount: 4_096)),
            .deleteVolume(named: "a b/ü"), .switchover(SwitchoverRequest(region: "faro")),
            .changeMembers(MembersRequest(coming: 4, leaving: 3, witness: true)), .cancelMembers,
            .clearAlarm(named: "replica-lost"), .log(LogQuery(from: 1, to: 9, max: 5)),
        ]
        return routes.map { route in
            let request = route.request
            return Array(request.method.utf8) + [0] + request.target.utf8 + [0] + request.body
        }
    }

    static func answers() throws -> [[UInt8]] {
        [
            try answer(0, status), try answer(1, raft), try answer(2, log),
            try answer(3, MembersReport(members: status.members, wish: wish)),
            try answer(4, VolumesReport(volumes: status.volumes)),
            try answer(5, AlarmsReport(alarms: status.alarms)),
            try answer(6, SwitchoverReport(epoch: 4, region: "faro", milliseconds: 180)),
            try answer(7, Problem(.volume(.exists(name: "db-1")))),
            try answer(8, MembersChangeReport(change: "remove node 3", isDone: false)),
        ]
    }

    private static func answer(_ kind: UInt8, _ value: some Encodable) throws -> [UInt8] {
        [kind] + Array(try JSONEncoder().encode(value))
    }

    private static let wish = WishReport(
        change: "add node 4 in oslo", coming: 4, leaving: nil, since: 7, isJoint: false,
        waitsFor: "copies", stoodSeconds: 3)

    private static let standing = RaftStanding(
        role: .leader, term: 4, commit: 9, applied: 9, last: PositionReport(index: 9, term: 4),
        durable: 9, base: PositionReport(index: 2, term: 1), logBytes: 4_096)

    private static let status = StatusReport(
        node: 1, region: "oslo", role: .data, cluster: "5f0c3a7e9b2d48c1a6e4f7d08b15c392",
        version: "0.2", pid: 77, startedAt: 1_700_000_000, leader: 1, raft: standing,
        primary: PrimaryReport(node: 1, region: "oslo", epoch: 3, acting: true),
        quorum: QuorumReport(voters: 3, needed: 2, reachable: 3, ok: true),
        preferredRegion: "oslo",
        members: [
            MemberReport(
                node: 2, region: "faro", role: .data, address: "a:1", isSelf: false,
                liveness: .alive, linkUp: true, resync: ResyncReport(percent: 40, bytesLeft: 9))
        ],
        volumes: [VolumeReport(id: 1, name: "db-1", byteCount: 1 << 30, mode: .sync, isOpen: true)],
        alarms: [Alarm(code: "lag", severity: .warning, text: "t", remedy: "r")],
        takeovers: [], counters: ["elections": 2])

    private static let raft = RaftReport(node: 1, leader: 1, standing: standing, voters: [1, 2, 3])

    private static let log = LogReport(
        base: standing.base, first: 3, last: 9,
        entries: [
            EntryReport(
                index: 3, term: 1, kind: .command, epoch: 1, time: 5, byteCount: 80, session: 2,
                sequence: 1, summary: "create")
        ])
}
