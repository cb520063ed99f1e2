import Certificates
import Foundation
import Mesh
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(1))) struct RefusalTests {
    func hello(_ rig: Rig, _ node: UInt64, _ change: (inout Hello) -> Void) throws -> [UInt8] {
        var hello = Hello(try rig.name(node), lane: .gossip, featureLevel: 1)
        change(&hello)
        return RawPeer.frame(.hello, hello.encoded)
    }

    @Test func `a certificate of another authority is refused`() async throws {
        let (rig, other) = (try Rig(), try Rig())
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let stranger = try other.credentials(1)
        let paths = CredentialPaths(
            ca: "\(rig.path)/ca.pem", certificate: stranger.certificate, key: stranger.key)
        _ = try await RawPeer.say([], to: try #require(b.port), as: paths)
        let refusal = try await seenByB.refusal(.untrustedCertificate)
        #expect(refusal.peer == nil)
        #expect(b.refusals.count(.untrustedCertificate) == 1)
        #expect(b.refusals.lastStranger == refusal)
        await b.shutdown()
    }

    @Test func `an expired certificate is refused and explained`() async throws {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let old = try rig.credentials(1, now: Date() - 40 * 86_400)
        _ = try await RawPeer.say([], to: try #require(b.port), as: old)
        let refusal = try await seenByB.refusal(.expiredCertificate)
        #expect(refusal.reason.contains("expired"))
        #expect(b.refusals.total == 1)
        #expect(throws: CredentialsRefused.expired(path: old.certificate)) {
            try Credentials(old, expecting: try rig.name(1))
        }
        await b.shutdown()
    }

    @Test func `a node outside the roster is refused`() async throws {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [:])
        _ = try await RawPeer.say([], to: try #require(b.port), as: try rig.credentials(1))
        _ = try await seenByB.refusal(.unknownNode)
        #expect(b.refusals.count(.unknownNode) == 1)
        await b.shutdown()
    }

    @Test func `another cluster, name or version in the hello is refused`() async throws {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let port = try #require(b.port)
        let cases: [(RefusalCause, (inout Hello) -> Void)] = [
            (.wrongCluster, { $0.cluster = ClusterID(high: 1, low: 1) }),
            (.wrongName, { $0.node = NodeID(3) }),
            (.wrongVersion, { $0.versions = 2...9 }),
        ]
        for (cause, change) in cases {
            let heard = try await RawPeer.say(
                [try hello(rig, 1, change)], to: port, as: try rig.credentials(1))
            let refusal = try await seenByB.refusal(cause)
            #expect(refusal.peer == NodeID(1))
            #expect(b.refusals.lastByPeer[NodeID(1)] == refusal)
            #expect(b.refusals.count(cause) == 1)
            #expect(heard == RawPeer.frame(.refusal, [cause.rawValue]))
        }
        #expect(!seenByB.all.contains(.event(.up(NodeID(1), .gossip))))
        await b.shutdown()
    }

    @Test func `who speaks less than the mesh is refused, and what to do is said`() async throws {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        b.require(.spoken)
        let heard = try await RawPeer.say(
            [try hello(rig, 1) { $0.featureLevel = 1 }], to: try #require(b.port),
            as: try rig.credentials(1))
        #expect(heard == RawPeer.frame(.refusal, [RefusalCause.wrongVersion.rawValue]))
        let refusal = try await seenByB.refusal(.wrongVersion)
        #expect(refusal.featureLevel == 1)
        #expect(
            refusal.reason.hasPrefix(
                "node 1 speaks feature level 1, and this mesh is at 2: install the release"))
        await b.shutdown()
    }

    /// Somebody started an older release while the mesh was deciding.
    @Test func `a link of before is closed once the mesh speaks more, and stays so`() async throws {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let (a, _) = try await rig.node(
            1, peers: [2: try #require(b.port)], featureLevel: 1)
        try await seenByB.up(1, .consensus)
        b.require(.first)
        #expect(b.links.contains { $0.lane == .consensus && $0.isUp })
        b.require(.spoken)
        try await seenByB.down(1, .consensus)
        #expect(try await seenByB.refusal(.wrongVersion).peer == NodeID(1))
        // Neither other members nor a lower level let it in again.
        b.reload(Roster([try rig.entry(1), try rig.entry(2, port: try #require(b.port))]))
        b.require(.first)
        #expect(b.gate.levelMin == .spoken)
        await a.shutdown()
        await b.shutdown()
    }

    @Test func `who answers for another, dials from above or moved region is refused`() throws {
        let rig = try Rig()
        let roster = Roster([try rig.entry(1), try rig.entry(2), try rig.entry(3)])
        let gate = Gate(own: try rig.name(2), roster: roster, revoked: [])
        #expect(gate.judge(try rig.name(1), dialed: nil) == nil)
        #expect(gate.judge(try rig.name(3), dialed: NodeID(3)) == nil)
        #expect(gate.judge(try rig.name(1), dialed: NodeID(3))?.cause == .wrongName)
        #expect(gate.judge(try rig.name(3), dialed: nil)?.cause == .wrongDirection)
        #expect(gate.judge(try rig.name(2), dialed: nil)?.cause == .unknownNode)
        let moved = PeerName(
            cluster: rig.cluster, region: try rig.name(3).region, node: NodeID(1))
        #expect(gate.judge(moved, dialed: nil)?.cause == .wrongName)
    }

    @Test func `who can't listen says where, why and what to do`() async throws {
        let rig = try Rig()
        let (b, _) = try await rig.node(2, peers: [1: 0])
        let port = try #require(b.port)
        let taken = await #expect(throws: ListenRefused.self) {
            _ = try await rig.node(1, port: port, peers: [2: port])
        }
        #expect(taken?.isTaken == true && taken?.address == "127.0.0.1:\(port)")
        #expect(taken?.description.contains("Address already in use; end the process") == true)
        await b.shutdown()
    }

    @Test func `an oversized frame closes the link`() async throws {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let long: [UInt8] = [0xff, 0xff, 0xff, 0xff, FrameKind.payload.rawValue]
        _ = try await RawPeer.say(
            [try hello(rig, 1) { _ in }, long], to: try #require(b.port),
            as: try rig.credentials(1))
        #expect(try await seenByB.refusal(.oversizedFrame).peer == NodeID(1))
        try await seenByB.down(1, .gossip)
        await b.shutdown()
    }

    /// What was mended must not be told as an alarm when the peer is away later for another reason.
    @Test func `a refusal is forgotten once the peer came in`() async throws {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0], revoked: [NodeID(1)])
        let (a, seenByA) = try await rig.node(1, peers: [2: try #require(b.port)])
        _ = try await seenByB.refusal(.revokedNode)
        #expect(b.refusals.lastByPeer[NodeID(1)]?.cause == .revokedNode)
        b.revoke([])
        try await seenByB.up(1, .consensus)
        // A gossip or bulk connection of before may still be on its way to its refusal; none comes after.
        try await seenByA.up(2, .gossip)
        try await seenByA.up(2, .bulk)
        await a.shutdown()
        try await seenByB.down(1, .consensus)
        #expect(b.refusals.lastByPeer[NodeID(1)] == nil)
        #expect(b.refusals.count(.revokedNode) > 0)
        await b.shutdown()
    }

    @Test func `a refusal is forgotten a named time after the last one`() throws {
        let rig = try Rig()
        let roster = Roster([try rig.entry(1), try rig.entry(2)])
        var refusals = Refusals()
        let start = Instant(nanoseconds: 5_000_000_000)
        let stands = TransportLimits().refusalStands
        func note(_ node: UInt64, at: Instant) {
            _ = refusals.note(
                Refusal(.expiredCertificate, "old", peer: NodeID(node)), roster: roster, at: at)
        }
        note(1, at: start)
        note(2, at: start)
        note(2, at: start + .seconds(10))
        refusals.forget(before: start + stands - stands)
        #expect(refusals.lastByPeer.count == 2)
        refusals.forget(before: start + .seconds(1))
        #expect(refusals.lastByPeer.keys.sorted() == [NodeID(2)])
        refusals.forget(before: start + .seconds(11))
        #expect(refusals.lastByPeer.isEmpty && refusals.total == 3)
    }

    @Test func `the ends of the certificates in use are known, and change with a reload`()
        async throws
    {
        let rig = try Rig()
        let (a, _) = try await rig.node(1, peers: [2: 0])
        let before = a.certificates
        #expect(before.map(\.isAuthority) == [false, true])
        let now = UInt64(Date().timeIntervalSince1970)
        #expect((now + 29 * 86_400...now + 31 * 86_400).contains(before[0].at))
        #expect((now + 3_600 * 86_400...now + 3_700 * 86_400).contains(before[1].at))
        _ = try rig.authority.renew(node: NodeID(1), days: 90)
        #expect(a.certificates == before)
        try a.reloadCredentials()
        #expect((now + 89 * 86_400...now + 91 * 86_400).contains(a.certificates[0].at))
        await a.shutdown()
    }

    @Test func `renewed credentials serve new connections and revoked nodes get none`() async throws
    {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let (a, seenByA) = try await rig.node(1, peers: [2: try #require(b.port)])
        try await seenByA.up(2, .gossip)
        _ = try rig.authority.renew(node: NodeID(1))
        try a.reloadCredentials()
        b.revoke([NodeID(1)])
        #expect(try await seenByB.refusal(.revokedNode).peer == NodeID(1))
        b.revoke([])
        try await seenByA.up(2, .gossip, times: 2)
        await a.shutdown()
        await b.shutdown()
    }

    @Test func `openssl sees TLS 1_3 alone and is refused without a certificate`() async throws {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let port = try #require(b.port)
        let (status, older) = try openssl("-tls1_2", port)
        #expect(status != 0)
        #expect(older.contains("alert protocol version"))
        let (_, said) = try openssl("-tls1_3", port)
        #expect(said.contains("TLSv1.3"))
        _ = try await seenByB.refusal(.noCertificate)
        #expect(b.refusals.count(.noCertificate) == 1)
        await b.shutdown()
    }

    private func openssl(_ version: String, _ port: Int) throws -> (Int32, String) {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/openssl")
        process.arguments = ["s_client", version, "-ign_eof", "-connect", "127.0.0.1:\(port)"]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let said = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: said, as: UTF8.self))
    }
}
