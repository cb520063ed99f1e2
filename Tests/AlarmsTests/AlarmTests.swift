import Admin
import Alarms
import Foundation
import Mesh
import Testing

/// Three nodes, this one among them, at peace.
enum Calm {
    static let now: UInt64 = 1_795_500_000
    static let print = ClusterPrint(members: 7, lease: .milliseconds(400))

    static func peer(_ node: UInt64) -> Sight.Peer {
        var peer = Sight.Peer(
            node: NodeID(node), region: "region-\(node)", address: "10.0.0.\(node):7100",
            standing: .alive)
        peer.clusterFile = print
        return peer
    }

    static var sight: Sight {
        var sight = Sight(
            own: NodeID(1), region: "region-1", data: "/var/lib/holdfast", now: now,
            quorum: .init(voters: 3, needed: 2, reachable: 3, ok: true), clusterFile: print)
        sight.peers = [peer(2), peer(3)]
        sight.certificates = [
            .init(path: "node-1.pem", isAuthority: false, endsAt: now + 31 * 86_400),
            .init(path: "ca.pem", isAuthority: true, endsAt: now + 3_000 * 86_400),
        ]
        return sight
    }

    /// The alarms once `change` has happened to the peace.
    static func alarms(_ change: (inout Sight) -> Void) -> [Alarm] {
        var sight = sight
        change(&sight)
        return sight.alarms
    }
}

@Suite("What raises an alarm")
struct AlarmTests {
    @Test func `peace raises none`() {
        #expect(Calm.sight.alarms == [])
    }

    @Test func `a node that is far behind says so of itself, how far and since when`() throws {
        let alarms = Calm.alarms { $0.lag = .init(entries: 12_000, since: Calm.now) }
        let alarm = try #require(alarms.first)
        #expect(alarms.count == 1 && alarm.code == "member-lags" && alarm.severity == .warning)
        #expect(alarm.text.hasPrefix("this node is 12000 entries behind, and has been behind"))
        #expect(alarm.text.hasSuffix("since 2026-11-24 06:00 UTC") && alarm.since == Calm.now)
    }

    @Test func `no claim of a peer's, however large, is too large for its share to be told`() {
        let claims: [(missing: UInt64, whole: UInt64, percent: UInt64)] = [
            (.max, .max, 0), (0, .max, 100), (1 << 62, 1 << 63, 50), (5, 3, 0), (0, 0, 100),
            (1, 3, 66),
        ]
        for claim in claims {
            let standing = ResyncStanding(
                isCopying: true, missingByteCount: claim.missing, wholeByteCount: claim.whole)
            #expect(standing.percent == claim.percent, "\(claim)")
        }
    }

    private static let half = ResyncStanding(
        isCopying: true, missingByteCount: 512 << 20, wholeByteCount: 1 << 30)

    @Test func `damage names volume and bytes, and is critical while nobody can mend it`() throws {
        let damage = Sight.Damage(volume: "db", blocks: 3, ranges: [4_096..<12_288])
        let mended = try #require(Calm.alarms { $0.imageDamage = [damage] }.first)
        #expect(mended.code == "volume-damaged" && mended.severity == .warning)
        #expect(mended.text.contains("3 blocks of volume db are damaged"))
        #expect(mended.text.contains("bytes 4096..<12288 and more"))
        let alone = Calm.alarms { sight in
            sight.imageDamage = [damage]
            for at in sight.peers.indices { sight.peers[at].standing = .silent }
        }
        let lost = try #require(alone.first { $0.code == "volume-damaged" })
        #expect(lost.severity == .critical && lost.text.contains("reading them fails"))
    }

    @Test func `replicas that differ are told of by volume and member, with the bytes`() throws {
        let alarms = Calm.alarms { sight in
            sight.differences =
                (0..<6).map {
                    Sight.Difference(
                        volume: "db", range: UInt64($0) * 8_192..<UInt64($0) * 8_192 + 4_096,
                        node: NodeID(2))
                } + [Sight.Difference(volume: "db", range: 0..<4_096, node: NodeID(3))]
        }.filter { $0.code == "replicas-differ" }
        #expect(alarms.count == 2 && alarms.allSatisfy { $0.severity == .critical })
        let first = try #require(alarms.first)
        #expect(first.text.hasPrefix("node 2 has other bytes of volume db than this node"))
        #expect(first.text.contains("at 0+4096, 8192+4096, 16384+4096, 24576+4096 and more"))
    }

    @Test func `who copies what it lacks is told of on every node, with how much is left`() throws {
        let other = try #require(Calm.alarms { $0.peers[0].resync = Self.half }.first)
        #expect(other.code == "resync" && other.severity == .warning)
        #expect(other.text.hasPrefix("node 2 in region-2 was away for longer than the log reaches"))
        #expect(other.text.contains("50 % done, 512 MiB left"))
        let own = try #require(Calm.alarms { $0.resync = Self.half }.first)
        #expect(own.code == "resync" && own.text.hasPrefix("this node was away"))
    }

    @Test func `where nobody has what this node lacks, that is critical and says whom to bring up`()
        throws
    {
        let alarms = Calm.alarms { sight in
            sight.resync = Self.half
            sight.peers[0].standing = .silent
            sight.peers[1].resync = Self.half
        }
        let alarm = try #require(alarms.first { $0.code == "no-whole-replica" })
        #expect(alarm.severity == .critical)
        #expect(
            alarm.remedy == "bring node 2 in region-2 or node 3 in region-3 up again with its disk")
        // A witness has no volumes, so it helps nobody.
        let witness = Calm.alarms { sight in
            sight.resync = Self.half
            sight.peers[0].standing = .silent
            sight.peers[1].isData = false
        }
        #expect(witness.contains { $0.code == "no-whole-replica" })
    }

    @Test func `who was left behind is not told that the log is kept for it`() throws {
        for standing in [Sight.Standing.silent, .left] {
            func remedy(_ isLeftBehind: Bool?) -> String? {
                Calm.alarms { sight in
                    sight.peers[0].standing = standing
                    sight.peers[0].isLeftBehind = isLeftBehind
                }.first?.remedy
            }
            #expect(remedy(false)?.contains("until it is back the log is kept for it") == true)
            #expect(remedy(nil)?.contains("says the leader") == true)
            #expect(remedy(true)?.contains("no longer kept for it") == true)
        }
    }

    /// Its leader tells it to commit no more than it holds, so its own log alone says nothing.
    @Test func `a node learns from what others say of their logs that it is behind`() {
        func lag(_ heard: [UInt64]) -> UInt64 {
            Lags.own(
                durable: LogIndex(100), committed: LogIndex(100), heard: heard.map { LogIndex($0) })
        }
        #expect(lag([]) == 0 && lag([90, 100]) == 0 && lag([90, 5_100]) == 5_000)
    }

    @Test func `a small lag is an alarm once it lasts, and a tolerated one never`() {
        func alarms(entries: UInt64, since: UInt64?) -> Int {
            Calm.alarms { $0.peers[0].lag = .init(entries: entries, since: since) }.count
        }
        #expect(alarms(entries: 2_000, since: Calm.now - 9) == 0)
        #expect(alarms(entries: 2_000, since: Calm.now - 10) == 1)
        #expect(alarms(entries: 1_000, since: nil) == 0)
    }

    @Test func `a lag begins when it is first seen, and ends when it is made up`() {
        var lags = Lags()
        let node = NodeID(2)
        for (entries, at, began) in [
            (900, 10, nil), (1_001, 11, 11), (50_000, 40, 11), (1_000, 41, nil), (1_001, 42, 42),
        ] as [(UInt64, UInt64, UInt64?)] {
            lags.look([node: entries], at: at)
            #expect(lags.began(node) == began, "at \(at)")
        }
        lags.look([:], at: 43)
        #expect(lags.began(node) == nil)
    }

    @Test(arguments: [
        (Sight.Standing.left, "member-left", "node 3 in region-3 has left: it was stopped"),
        (.silent, "member-dead", "node 3 in region-3 is not heard"),
    ])
    func `a member that is away is told, with why`(
        standing: Sight.Standing, code: String, text: String
    ) {
        let alarms = Calm.alarms {
            $0.peers[1].standing = standing
            // What was known of it before says nothing now.
            $0.peers[1].lag = .init(entries: 90_000, since: Calm.now)
            $0.peers[1].clusterFile = nil
        }
        #expect(alarms.map(\.code) == [code] && alarms.map(\.text) == [text])
        #expect(alarms.allSatisfy { $0.severity == .warning })
    }

    @Test func `what is critical comes first`() {
        let alarms = Calm.alarms {
            $0.peers[0].standing = .silent
            $0.hasRoom = false
            $0.peers[1].refusal = "its certificate has expired"
        }
        #expect(alarms.map(\.code) == ["disk-full", "member-dead", "peer-refused"])
    }

    @Test func `too few voters, in words that count right`() {
        let alarms = Calm.alarms { sight in
            sight = Sight(
                own: NodeID(1), region: "a", data: "/d", now: Calm.now,
                quorum: .init(voters: 3, needed: 2, reachable: 1, ok: false),
                clusterFile: Calm.print)
        }
        #expect(
            alarms.map(\.text) == [
                "1 of 3 voters are reachable, 2 are needed: nothing can be written"
            ])
    }

    @Test func `a volume without a socket is named`() {
        let alarms = Calm.alarms { $0.socketFaults = ["db": "permission denied"] }
        #expect(alarms.map(\.code) == ["volume-without-socket"])
        #expect(alarms[0].text.contains("db") && alarms[0].text.contains("permission denied"))
    }

    @Test
    func `a damaged log is told here with what it lacks, and by others as a member without a vote`()
        throws
    {
        let own = Calm.alarms { $0.damage = "entry 5@2 lacks; node 2, 3 asked" }
        #expect(own.map(\.code) == ["log-damaged"] && own[0].severity == .critical)
        #expect(own[0].text.contains("entry 5@2 lacks"))
        #expect(own[0].remedy.contains("node 2 in region-2 and node 3 in region-3"))
        let others = Calm.alarms { $0.peers[0].isMending = true }
        #expect(others.map(\.code) == ["log-damaged"] && others[0].severity == .warning)
        #expect(others[0].text.hasPrefix("node 2 in region-2 has a damaged log"))
    }

    @Test func `a log that an operator ended stands as an alarm until it is cleared`() {
        var incidents = Incidents()
        incidents.note(
            .logCut, about: NodeID(2), index: LogIndex(7), seenBy: NodeID(2),
            at: Calm.now * 1_000)
        let noted = incidents
        let alarms = Calm.alarms { $0.incidents = noted }
        #expect(alarms.map(\.code) == ["log-cut"] && alarms[0].severity == .critical)
        #expect(alarms[0].text.contains("node 2 before entry 7"))
        #expect(incidents.clear(.logCut) == 1)
        let cleared = incidents
        let rest = Calm.alarms { $0.incidents = cleared }
        #expect(rest == [])
    }

    @Test func `the page for who is on call has a row for each`() throws {
        let page = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../docs/on-call.md").standardized
        let rows = try String(contentsOf: page, encoding: .utf8).split(separator: "\n")
        for code in AlarmCode.allCases {
            #expect(rows.count { $0.hasPrefix("| `\(code.rawValue)` |") } == 1, "\(code.rawValue)")
        }
    }

    @Test func `only what happened once stands until it is cleared`() {
        #expect(
            AlarmCode.allCases.filter(\.standsUntilCleared)
                == [.replicaLost, .contradiction, .logCut])
    }
}

@Suite("A certificate's end raises an alarm before it comes")
struct CertificateAlarmTests {
    private func alarm(of days: Double, isAuthority: Bool = false) -> Alarm? {
        Calm.alarms { sight in
            let end = Calm.now + UInt64(days * 86_400)
            sight.certificates = [
                .init(path: "some.pem", isAuthority: isAuthority, endsAt: end)
            ]
        }.first
    }

    @Test(
        arguments: [
            (31, nil), (30, nil), (29.9, .warning), (7, .warning), (6.9, .critical),
            (0.5, .critical), (0, .critical),
        ] as [(Double, Alarm.Severity?)], [false, true])
    func `it warns below 30 days, and is critical below 7`(
        of: (days: Double, severity: Alarm.Severity?), isAuthority: Bool
    ) {
        let alarm = alarm(of: of.days, isAuthority: isAuthority)
        #expect(alarm?.severity == of.severity)
        #expect(alarm.map { $0.code == "certificate-expires" } ?? true)
    }

    @Test func `the time that is left is told, and what to do`() throws {
        let own = try #require(alarm(of: 6.5))
        #expect(
            own.text.hasPrefix(
                "this node's certificate some.pem expires in 6 days, on 2026-11-30"))
        #expect(own.remedy.contains("holdfast cert renew") && own.remedy.contains("SIGHUP"))
        #expect(alarm(of: 1.2)?.text.contains("expires in 1 day, on") == true)
        #expect(alarm(of: 0.25)?.text.contains("expires in 6 hours, on") == true)
        #expect(alarm(of: 0)?.text.contains("has expired on 2026-11-24 06:00 UTC") == true)
        let authority = try #require(alarm(of: 6.5, isAuthority: true))
        #expect(authority.text.hasPrefix("the authority's certificate some.pem expires in 6 days"))
    }
}

@Suite("Cluster files that differ raise an alarm")
struct ClusterFileAlarmTests {
    private func alarms(_ other: ClusterPrint?, _ standing: Sight.Standing = .alive) -> [Alarm] {
        Calm.alarms {
            $0.peers[1].clusterFile = other
            $0.peers[1].standing = standing
        }.filter { $0.code == "cluster-file-differs" }
    }

    @Test func `another list of members is a warning that names both nodes`() {
        let alarms = alarms(ClusterPrint(members: 8, lease: .milliseconds(400)))
        #expect(alarms.map(\.severity) == [.warning])
        #expect(alarms[0].text.hasPrefix("node 1 and node 3 have different cluster files"))
    }

    @Test func `another lease is critical, with both lengths`() {
        let alarms = alarms(ClusterPrint(members: 7, lease: .milliseconds(300)))
        #expect(alarms.map(\.severity) == [.critical])
        #expect(alarms[0].text.contains("400ms on node 1 and 300ms on node 3"))
    }

    @Test func `who tells nothing, or is not there to tell it now, raises none`() {
        #expect(alarms(nil) == [])
        #expect(alarms(ClusterPrint(members: 8, lease: .milliseconds(300)), .silent) == [])
    }
}
