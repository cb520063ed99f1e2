import Admin

/// Reports as nodes give them in the situations that matter.
enum Samples {
    static let startedAt: UInt64 = 1_795_500_000
    /// 3 h 12 m after the start.
    static let now: UInt64 = startedAt + 11_520

    static let backup = BackupReport(
        number: 12, kind: .incremental, position: PositionReport(index: 48_213, term: 7), epoch: 3,
        unixMilliseconds: now * 1_000,
        volumes: [BackupReport.Volume(id: 1, name: "db", byteCount: 4 << 30)])

    static func standing(_ role: RaftRole) -> RaftStanding {
        RaftStanding(
            role: role, term: 7, commit: 48_211, applied: 48_211,
            last: PositionReport(index: 48_213, term: 7), durable: 48_213,
            base: PositionReport(index: 40_000, term: 6), logBytes: 201_326_592,
            preferred: [1, 2, 3])
    }

    static let members = [
        MemberReport(
            node: 1, region: "us-east-1", role: .data, address: "10.1.0.10:7100", isSelf: true,
            liveness: .self, matchIndex: 48_213, lagEntries: 0, linkUp: true),
        MemberReport(
            node: 2, region: "us-west-2", role: .data, address: "10.2.0.10:7100", isSelf: false,
            liveness: .alive, matchIndex: 48_213, lagEntries: 0, lagBytes: 0,
            roundTripMicroseconds: 61_204, linkUp: true),
        MemberReport(
            node: 3, region: "eu-west-1", role: .data, address: "10.3.0.10:7100", isSelf: false,
            liveness: .alive, matchIndex: 48_209, lagEntries: 4, lagBytes: 16_640,
            roundTripMicroseconds: 8_340, linkUp: true),
    ]

    static let volumes = [
        VolumeReport(
            id: 1, name: "db", byteCount: 10 << 30, mode: .sync, isOpen: true, generation: 2,
            clients: 1, socket: "/run/holdfast/volumes/db.sock", pendingBytes: 1_572_864),
        VolumeReport(
            id: 2, name: "scratch", byteCount: 512 << 20, mode: .async, isOpen: true,
            generation: 1, socket: "/run/holdfast/volumes/scratch.sock"),
    ]

    static let healthy = StatusReport(
        node: 1, region: "us-east-1", role: .data, cluster: "5f0c3a7e9b2d48c1a6e4f7d08b15c392",
        version: "0.1.0", pid: 4_711, startedAt: startedAt, leader: 1, raft: standing(.leader),
        primary: PrimaryReport(
            node: 1, region: "us-east-1", epoch: 3, acting: true, leaseLeftMilliseconds: 312),
        quorum: QuorumReport(voters: 3, needed: 2, reachable: 3, ok: true),
        preferredRegion: "us-east-1", members: members, volumes: volumes,
        takeovers: [
            TakeoverReport(
                epoch: 3, from: "us-west-2", to: "us-east-1", reason: .switchover,
                at: (startedAt + 120) * 1_000,
                phases: [
                    .init(name: "drain", milliseconds: 12.4), .init(name: "open", milliseconds: 55),
                ])
        ], counters: ["adminRequests": 12])

    /// The former primary is dead and node 2 has taken over.
    static var oneDead: StatusReport {
        var report = healthy
        (report.node, report.region, report.leader) = (2, "us-west-2", 2)
        report.primary = PrimaryReport(node: 2, region: "us-west-2", epoch: 4, acting: true)
        report.quorum.reachable = 2
        report.members[0].isSelf = false
        report.members[0].liveness = .dead
        report.members[0].linkUp = false
        report.members[0].lagEntries = 13_402
        report.members[0].lagBytes = 54_525_952
        report.members[1].isSelf = true
        report.members[1].liveness = .self
        report.members[1].roundTripMicroseconds = nil
        report.takeovers.append(
            TakeoverReport(
                epoch: 4, from: "us-east-1", to: "us-west-2", reason: .takeover,
                at: (now - 134) * 1_000,
                phases: [
                    .init(name: "detect", milliseconds: 214),
                    .init(name: "elect", milliseconds: 38.2),
                    .init(name: "lease", milliseconds: 151.6),
                    .init(name: "promote", milliseconds: 21),
                    .init(name: "open", milliseconds: 7.5),
                ]))
        return report
    }

    static var noQuorum: StatusReport {
        var report = oneDead
        report.quorum = QuorumReport(voters: 3, needed: 2, reachable: 1, ok: false)
        report.leader = nil
        report.raft = standing(.precandidate)
        report.primary?.acting = false
        report.members[2].liveness = .suspect
        report.members[2].linkUp = false
        report.members[2].roundTripMicroseconds = nil
        report.members[2].lagEntries = nil
        report.members[0].lagEntries = nil
        for place in report.volumes.indices {
            report.volumes[place].isOpen = false
            report.volumes[place].clients = 0
        }
        return report
    }

    /// Seen from the witness of a two-region mesh.
    static var witness: StatusReport {
        var report = healthy
        (report.node, report.region, report.role) = (3, "eu-west-1", .witness)
        report.raft = standing(.follower)
        report.primary?.acting = false
        report.members[0].isSelf = false
        report.members[0].liveness = .alive
        report.members[0].roundTripMicroseconds = 412
        for place in report.members.indices { report.members[place].lagEntries = nil }
        report.members[2].role = .witness
        report.members[2].isSelf = true
        report.members[2].liveness = .self
        report.members[2].roundTripMicroseconds = nil
        report.volumes = []
        return report
    }

    static var takingOver: StatusReport {
        var report = oneDead
        report.primary = PrimaryReport(node: 1, region: "us-east-1", epoch: 3, acting: false)
        for place in report.volumes.indices {
            report.volumes[place].isOpen = false
            report.volumes[place].clients = 0
        }
        report.takeovers = []
        return report
    }

    static var diskFull: StatusReport {
        var report = healthy
        report.alarms = [
            Alarm(
                code: "disk-full", severity: .critical,
                text: "writes wait: /var/lib/holdfast has no space left for segment-42",
                remedy: "free space on that file system; the writes go on by themselves"),
            Alarm(
                code: "certificate-expires", severity: .warning,
                text: "this node's certificate ends in 6 days",
                remedy: "run `holdfast cert renew` and copy the files here"),
        ]
        return report
    }

    /// Seven members, twenty volumes, five alarms.
    static var crowded: StatusReport {
        var report = oneDead
        report.members += (4...7).map { node in
            MemberReport(
                node: node, region: "ap-northeast-\(node)", role: .data,
                address: "10.\(node).0.10:7100", isSelf: false, liveness: .alive, lagEntries: 0,
                roundTripMicroseconds: 150_000, linkUp: true)
        }
        report.volumes = (1...20).map { number in
            VolumeReport(
                id: number, name: "volume-\(number)", byteCount: 1 << 40, mode: .sync, isOpen: true)
        }
        report.alarms = (1...5).map { number in
            Alarm(
                code: "code-\(number)", severity: .warning, text: "this is not as it should be",
                remedy: "do what makes it so")
        }
        return report
    }
}
