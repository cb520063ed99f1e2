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
