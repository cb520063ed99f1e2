import Foundation
import Mesh
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import Transport

/// Peers that hang, and certificates whose time or authority changes under a standing mesh.
@Suite(.timeLimit(.minutes(1))) struct HungPeerTests {
    @Test func `a peer that takes connections and says nothing delays nobody (nasty case 61)`()
        async throws
    {
        let rig = try Rig()
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let (c, seenByC) = try await rig.node(3, peers: [1: 0, 2: 0])
        var limits = TransportLimits()
        limits.greetingDeadline = .milliseconds(400)
        let (a, seenByA) = try await rig.node(
            1, peers: [2: try #require(silent.localAddress?.port), 3: try #require(c.port)],
            limits: limits)
        for lane in Lane.allCases {
            try await seenByA.up(3, lane)
            #expect(a.send([lane.rawValue], to: NodeID(3), lane: lane) == .queued)
            try await seenByC.wait { $0 == .frame(NodeID(1), lane, [lane.rawValue]) }
        }
        #expect(try await seenByA.refusal(.deadline).peer == NodeID(2))
        #expect(a.links.allSatisfy { $0.isUp == ($0.node == NodeID(3)) })
        await a.shutdown()
        await c.shutdown()
        try await silent.close()
    }

    @Test func `a certificate that expires ends the connection it proved (nasty case 65)`()
        async throws
    {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        _ = try rig.credentials(1, now: Date() - 30 * 86_400 + 4)
        let (a, seenByA) = try await rig.node(1, peers: [2: try #require(b.port)])
        try await seenByA.up(2, .gossip)
        let refusal = try await seenByB.refusal(.expiredCertificate)
        #expect(refusal.reason == "certificate expired while connected")
        #expect(refusal.peer == NodeID(1))
        await a.shutdown()
        await b.shutdown()
    }

    @Test func `while one authority replaces another, peers of both are let in (nasty case 65)`()
        async throws
    {
        let (old, new) = (try Rig(), try Rig())
        let both = try [old, new].map { rig in
            try String(contentsOfFile: "\(rig.path)/ca.pem", encoding: .utf8)
        }
        for rig in [old, new] {
            try both.joined().write(toFile: "\(rig.path)/ca.pem", atomically: true, encoding: .utf8)
        }
        let (b, seenByB) = try await new.node(2, peers: [1: 0])
        let (a, seenByA) = try await old.node(1, peers: [2: try #require(b.port)])
        for lane in Lane.allCases {
            try await seenByA.up(2, lane)
            try await seenByB.up(1, lane)
        }
        #expect(a.refusals.total + b.refusals.total == 0)
        await a.shutdown()
        await b.shutdown()
    }

    @Test func `a certificate of the authority that names no node is refused (nasty case 65)`()
        async throws
    {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let paths = CredentialPaths(
            ca: "\(rig.path)/ca.pem", certificate: "\(rig.path)/n.pem", key: "\(rig.path)/n.key")
        let openssl = Process()
        openssl.executableURL = URL(filePath: "/usr/bin/openssl")
        openssl.arguments =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            + ["-subj", "/CN=nobody", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
            + ["-CA", paths.ca, "-CAkey", "\(rig.path)/ca.key"]
            + ["-out", paths.certificate, "-keyout", paths.key]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        #expect(openssl.terminationStatus == 0)
        _ = try await RawPeer.say([], to: try #require(b.port), as: paths)
        #expect(try await seenByB.refusal(.unnamedCertificate).peer == nil)
        await b.shutdown()
    }

    @Test func `a peer that stopped reading holds no shutdown up (nasty case 43)`() async throws {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let (a, seenByA) = try await rig.node(1, peers: [2: try #require(b.port)])
        try await seenByA.up(2, .bulk)
        try await seenByB.up(1, .bulk)
        b.pauseReading(from: NodeID(1))
        let block = [UInt8](repeating: 7, count: 1 << 20)
        while a.send(block, to: NodeID(2), lane: .bulk) == .queued {}
        // Where a connection ends, on its event loop: this test itself may go on much later, when threads have others to serve.
        let open = a.shared.withLockedValue { $0.open.values.map(\.channel) }
        let ends = NIOLockedValueBox<[NIODeadline]>([])
        for channel in open {
            channel.closeFuture.whenComplete { _ in
                ends.withLockedValue { $0.append(.now()) }
            }
        }
        let begun = NIODeadline.now()
        await a.shutdown()
        let took = ends.withLockedValue { $0.map { $0 - begun } }
        #expect(!open.isEmpty && took.count == open.count)
        #expect(took.allSatisfy { $0 < .seconds(3) })
        await b.shutdown()
    }
}
