import Certificates
import Foundation
import Logging
import Mesh
import NIOConcurrencyHelpers
import Testing

@testable import Transport

/// What a node saw, in order; waits replay it from the beginning, so none misses what came early.
final class Diary: Sendable {
    enum Seen: Hashable, Sendable {
        case event(TransportEvent)
        case frame(NodeID, Lane, [UInt8])
    }

    private struct Pages: Sendable {
        var seen: [Seen] = []
        var readers: [AsyncStream<Seen>.Continuation] = []
    }
    private let pages = NIOLockedValueBox(Pages())

    func note(_ item: Seen) {
        let readers = pages.withLockedValue { pages in
            pages.seen.append(item)
            return pages.readers
        }
        for reader in readers { reader.yield(item) }
    }

    var all: [Seen] { pages.withLockedValue { $0.seen } }

    /// Returns once `count` things that match were seen; fails when the test is cancelled before.
    @discardableResult
    func wait(
        _ count: Int = 1, sourceLocation: SourceLocation = #_sourceLocation,
        for matches: (Seen) -> Bool
    ) async throws -> Seen {
        let (stream, reader) = AsyncStream<Seen>.makeStream()
        pages.withLockedValue { pages in
            for item in pages.seen { reader.yield(item) }
            pages.readers.append(reader)
        }
        var left = count
        for await item in stream where matches(item) {
            left -= 1
            if left == 0 { return item }
        }
        return try #require(nil, "never seen; saw \(all)", sourceLocation: sourceLocation)
    }

    func up(_ node: UInt64, _ lane: Lane, times: Int = 1) async throws {
        try await wait(times) { $0 == .event(.up(NodeID(node), lane)) }
    }
    func down(_ node: UInt64, _ lane: Lane) async throws {
        try await wait { item in
            if case .event(.down(NodeID(node), lane, _)) = item { true } else { false }
        }
    }
    func refusal(_ cause: RefusalCause) async throws -> Refusal {
        let item = try await wait { item in
            if case .event(.refused(let refusal)) = item { refusal.cause == cause } else { false }
        }
        guard case .event(.refused(let refusal)) = item else { return try #require(nil) }
        return refusal
    }
}

/// A mesh on loopback: an authority in a directory of its own, and nodes as they are asked for.
final class Rig: Sendable {
    let path: String
    let cluster: ClusterID
    let authority: Authority

    init(cluster: ClusterID = ClusterID(high: 0x5f0c, low: 0xfeed)) throws {
        path = NSTemporaryDirectory() + "/holdfast-transport-\(UUID())"
        self.cluster = cluster
        authority = try Authority.create(directory: path, cluster: cluster)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func name(_ node: UInt64) throws -> PeerName {
        PeerName(
            cluster: cluster, region: try #require(RegionName("region-\(node)")),
            node: NodeID(node))
    }

    func entry(_ node: UInt64, port: Int = 0) throws -> Roster.Entry {
        .init(node: NodeID(node), region: try name(node).region, host: "127.0.0.1", port: port)
    }

    /// Issues on first use.
    func credentials(_ node: UInt64, now: Date = Date()) throws -> CredentialPaths {
        if !FileManager.default.fileExists(atPath: "\(path)/node-\(node).pem") {
            _ = try authority.issue(
                node: NodeID(node), region: try name(node).region, addresses: ["127.0.0.1"],
                days: 30, now: now)
        }
        return CredentialPaths(
            ca: "\(path)/ca.pem", certificate: "\(path)/node-\(node).pem",
            key: "\(path)/node-\(node).key")
    }

    /// `ports` names the peers and where they listen; those with lower ids dial and need no port.
    func node(
        _ node: UInt64, port: Int = 0, peers ports: [UInt64: Int],
        limits: TransportLimits = TransportLimits(), revoked: [NodeID] = [],
        featureLevel: UInt32 = 7
    ) async throws -> (Transport, Diary) {
        let diary = Diary()
        var entries = [try entry(node, port: port)]
        for (peer, port) in ports { entries.append(try entry(peer, port: port)) }
        let transport = try Transport(
            identity: TransportIdentity(name: try name(node), featureLevel: featureLevel),
            roster: Roster(entries), credentials: try credentials(node), revoked: revoked,
            limits: limits, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            observe: { diary.note(.event($0)) },
            receive: { diary.note(.frame($0, $1, $2)) })
        try await transport.start()
        return (transport, diary)
    }
}
