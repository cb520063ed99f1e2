import Mesh
import Settings
import Testing

@Suite("Settings that are read again")
struct ReloadTests {
    private static let cluster = """
        cluster: 5f0c3a7e9b2d48c1a6e4f7d08b15c392
        members:
          - {id: 1, region: east, role: data, address: "127.0.0.1:7101"}
          - {id: 2, region: west, role: data, address: "127.0.0.1:7102"}
          - {id: 3, region: mid, role: witness, address: "127.0.0.1:7103"}
        primaryRegion: east
        """
    private static let node = """
        node: 1
        cluster: c.yaml
        tls: {ca: a, certificate: b, key: c}
        """

    private func settings(
        _ cluster: String = Self.cluster, node: String = Self.node
    ) throws -> AgentSettings {
        try AgentSettings(file: "n.yaml") { $0 == "n.yaml" ? node : cluster }
    }

    private func refusals(
        replacing old: String, with new: String, voting: [UInt64] = [1, 2, 3]
    ) throws -> [String] {
        let whole = Self.cluster + Self.node
        precondition(whole.contains(old), "the sample no longer holds \(old)")
        let after = try settings(
            Self.cluster.replacing(old, with: new), node: Self.node.replacing(old, with: new))
        return try settings().refusals(of: after, members: voting.map { NodeID($0) })
    }

    @Test func `a member may come, move, and leave once it votes no more`() throws {
        #expect(
            try refusals(
                replacing: "primaryRegion",
                with: "  - {id: 4, region: far, role: data, address: \"f:1\"}\nprimaryRegion") == []
        )
        #expect(try refusals(replacing: "127.0.0.1:7102", with: "elsewhere:7102") == [])
        let schedule = "primaryRegion: east\nbackups: {schedule: \"15 * * * *\"}"
        #expect(try refusals(replacing: "primaryRegion: east", with: schedule) == [])
        let third = "  - {id: 3, region: mid, role: witness, address: \"127.0.0.1:7103\"}\n"
        #expect(try refusals(replacing: third, with: "", voting: [1, 2]) == [])
        #expect(
            try refusals(replacing: third, with: "")
                == ["node 3 is missing and still a member: `holdfast members remove 3` first"])
    }

    @Test(arguments: [
        ("5f0c3a7e", "0f0c3a7e", "cluster has changed: it is another mesh's file"),
        ("id: 2, region: west", "id: 2, region: south", "node 2 has another region or role"),
        ("region: east, role: data", "region: west, role: data", "region or role of this node"),
        ("127.0.0.1:7101", "127.0.0.1:9101", "the address of this node has changed; restart"),
        ("primaryRegion: east", "primaryRegion: east\nlease: 900ms", "lease has changed; restart"),
        ("certificate: b", "certificate: d", "tls has changed; restart"),
    ])
    func `what a running node can't follow is refused with the reason`(
        old: String, new: String, why: String
    ) throws {
        // The region that is preferred has to be somebody's.
        let spare = ", address: \"127.0.0.1:7199\"}\n  - {id: 9, region: east, role: data"
        let new = old.hasPrefix("region: east") ? new + spare : new
        let all = try refusals(replacing: old, with: new)
        #expect(all.contains { $0.hasPrefix(why) }, "\(all)")
    }

    @Test func `one node's file can't become another's`() throws {
        #expect(
            try refusals(replacing: "node: 1", with: "node: 2").contains(
                "node has changed: it is another node's file"))
    }

    @Test func `who joins says so, and nobody does by default`() throws {
        #expect(try settings().node.founding)
        #expect(try !settings(node: Self.node + "\nfounding: false").node.founding)
        #expect(throws: Faults.self) { try settings(node: Self.node + "\nfounding: no") }
    }
}
