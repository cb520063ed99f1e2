import Foundation
import Launch
import Mesh
import Raft
import Record
import Settings
import Store
import Testing

@Suite("With whom a mesh begins")
struct FoundingTests {
    private let path: String

    init() throws { path = try LaunchTests.directory() + "/data" }

    private func settings(members: String, node: UInt64 = 1, more: String = "") throws
        -> AgentSettings
    {
        let text = """
            node: \(node)
            cluster: c.yaml
            data: \(path)
            tls: {ca: a, certificate: b, key: c}
            \(more)
            """
        let cluster = """
            cluster: 5f0c3a7e9b2d48c1a6e4f7d08b15c392
            members:
            \(members)
            primaryRegion: east
            """
        return try AgentSettings(file: "n.yaml") { $0 == "n.yaml" ? text : cluster }
    }

    private static func member(_ id: Int, _ region: String, _ role: String = "data") -> String {
        "  - {id: \(id), region: \(region), role: \(role), address: \"a:\(id)\"}\n"
    }
    private static let two = member(1, "east") + member(2, "west")

    private func make(_ settings: AgentSettings) throws {
        _ = try StoreDirectory(
            path, of: settings.member.id, in: settings.cluster.cluster,
            members: settings.cluster.roles, config: "n.yaml"
        ).make(StoreID(high: 1, low: 2))
    }

    /// As a start does; returns who voted before the first entry, and whether this node knows that.
    private func begin(_ settings: AgentSettings) throws -> (voters: [NodeID], isFounded: Bool) {
        let store = try OwnStore(settings, config: "n.yaml")
        let (base, isFounded) = try store.beginning(settings, behind: .zero, decisions: [])
        return (try base.parsed().membership.voters.all, isFounded)
    }

    @Test func `a founder begins with the same members for ever, whatever its file says`() throws {
        let first = try settings(members: Self.two)
        try make(first)
        #expect(try begin(first).voters == [NodeID(1), NodeID(2)])
        let grown = try settings(members: Self.two + Self.member(4, "far"))
        #expect(try begin(grown).voters == [NodeID(1), NodeID(2)])
        #expect(try begin(grown).isFounded)
    }

    @Test func `who joins knows nothing of the beginning, and votes in none`() throws {
        let joiner = try settings(
            members: Self.two + Self.member(4, "far"), node: 4, more: "founding: false")
        try make(joiner)
        for _ in 0..<2 {
            let (voters, isFounded) = try begin(joiner)
            #expect(!isFounded && !voters.contains(NodeID(4)))
        }
        #expect(!FileManager.default.fileExists(atPath: path + "/founding"))
    }

    @Test func `a damaged beginning is no beginning`() throws {
        let first = try settings(members: Self.two)
        try make(first)
        _ = try begin(first)
        let file = URL(filePath: path + "/founding")
        var bytes = try Data(contentsOf: file)
        bytes[bytes.count - 1] ^= 1
        try bytes.write(to: file)
        #expect(throws: (any Error).self) { try begin(first) }
    }

    @Test func `no mesh begins with two witnesses`() throws {
        let crowded = try settings(
            members: Self.two + Self.member(3, "mid", "witness")
                + Self.member(4, "far", "witness"))
        try make(crowded)
        #expect(throws: (any Error).self) { try begin(crowded) }
    }
}
