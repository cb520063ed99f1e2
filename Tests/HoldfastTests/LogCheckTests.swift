import Disk
import Foundation
import Journal
import JournalCore
import Mesh
import Record
import Testing

@Suite("A stopped node's journal, checked from outside")
struct LogCheckTests {
    private static let cluster = ClusterID(high: 0x5f0c, low: 0xfeed)
    private static let group = GroupID(1)

    /// A data directory with a journal of three batches; the journal is closed.
    private func made() throws -> String {
        let data = try Program.freshDirectory()
        try FileManager.default.createDirectory(
            atPath: data + "/journal", withIntermediateDirectories: true)
        var files = try FileDisk(data + "/journal")
        let settings = JournalCore<FileDisk>.Settings(
            cluster: Self.cluster, group: Self.group, segmentByteCount: 64 << 10)
        var (journal, _) = try JournalCore.open(
            &files, settings: settings, random: SeededRandom(seed: 1))
        for index in 1...3 as ClosedRange<UInt64> {
            let entry = Draft(.write, epoch: Epoch(1), payload: [1, 2, 3])
                .sealed(
                    at: Position(index: LogIndex(index), term: Term(1)), group: Self.group,
                    time: .zero)
            try journal.append([LogChange(entries: [entry])])
        }
        files = journal.disk
        files.shutDown()
        return data
    }

    private func contents(_ data: String) throws -> [String: Data] {
        let names = try FileManager.default.contentsOfDirectory(atPath: data + "/journal")
        return try Dictionary(
            uniqueKeysWithValues: names.map { name in
                (name, try Data(contentsOf: URL(filePath: "\(data)/journal/\(name)")))
            })
    }

    private func check(_ data: String) async throws -> Program.Said {
        try await release(data)
        return try await Program.run(["log", "check", "--data", data])
    }

    /// A child that another test forks just now holds a copy of every descriptor until its exec, and
    /// with it the lock that was given back here.
    private func release(_ data: String) async throws {
        for _ in 0..<1_000 {
            let lock = unsafe open(data + "/journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            defer { close(lock) }
            if flock(lock, LOCK_EX | LOCK_NB) == 0 {
                // Explicitly, so that no copy of this one keeps it either.
                flock(lock, LOCK_UN)
                return
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("\(data) stays locked")
    }

    @Test func `a sound journal is said to be sound`() async throws {
        let data = try made()
        let said = try await check(data)
        #expect(said.code == 0)
        #expect(
            said.output.hasPrefix(
                "\(data)/journal is sound\n  entries 1 to 3, base 0@0, last 3@1\n"))
        try await release(data)
        let json = try await Program.run(["log", "check", "--data", data, "-o", "json"])
        #expect(json.code == 0 && json.output.contains("\"lastIndex\" : 3"))
        try FileManager.default.removeItem(atPath: data)
    }

    @Test func `damage is named by file, offset and index, and left as it is`() async throws {
        let data = try made()
        let names = try FileManager.default.contentsOfDirectory(atPath: data + "/journal")
        let segment = try #require(names.first { $0.hasPrefix("segment-") })
        let path = "\(data)/journal/\(segment)"
        var bytes = try Data(contentsOf: URL(filePath: path))
        // The first batch begins on the block after the header's; a record's payload follows its head.
        bytes[4_096 + Entry.headerByteCount] ^= 1
        try bytes.write(to: URL(filePath: path))
        let before = try contents(data)
        let said = try await check(data)
        #expect(said.code == 1 && said.output == "")
        #expect(said.errors.contains("1 damaged place; the last position known is 3@1"))
        #expect(said.errors.contains("\(segment) at 4096, indexes 1...1: records:"))
        #expect(said.errors.contains("Lost here: entry 1@1. Start the node"))
        #expect(try contents(data) == before)
        try FileManager.default.removeItem(atPath: data)
    }

    @Test func `a check changes no byte, not even what a crash left behind`() async throws {
        let data = try made()
        try Data([1]).write(to: URL(filePath: data + "/journal/base-0000000000000009.new"))
        let before = try contents(data)
        #expect(try await check(data).code == 0)
        #expect(try contents(data) == before)
        try FileManager.default.removeItem(atPath: data)
    }

    /// With the index gone as well, nothing in the journal itself tells that there was more.
    @Test(arguments: [[], ["base-0000000000000001"], ["spare-0000000000000001"]])
    func `an emptied journal is damage, whatever outlived its segments`(left: [String]) async throws
    {
        let data = try made()
        let journal = data + "/journal"
        for name in try FileManager.default.contentsOfDirectory(atPath: journal) {
            try FileManager.default.removeItem(atPath: "\(journal)/\(name)")
        }
        for name in left { try Data([1]).write(to: URL(filePath: "\(journal)/\(name)")) }
        let identity = "cluster \(Self.cluster) node 1\n"
        let file = data + "/identity"
        try identity.write(toFile: file, atomically: false, encoding: .utf8)
        #expect(try await check(data).code == 0, "this node has not begun")
        for name in left { try Data([1]).write(to: URL(filePath: "\(journal)/\(name)")) }
        try (identity + "journal begun\n").write(toFile: file, atomically: false, encoding: .utf8)
        let before = try contents(data)
        let said = try await check(data)
        #expect(said.code == 1 && said.output == "")
        #expect(said.errors.contains("all segments are missing"))
        #expect(said.errors.contains("Don't start this node as it is"))
        #expect(try contents(data) == before)
        try FileManager.default.removeItem(atPath: data)
    }

    @Test func `a journal in use is not read`() async throws {
        let data = try made()
        try await release(data)
        var holder = try FileDisk(data + "/journal")
        let said = try await Program.run(["log", "check", "--data", data])
        #expect(said.code == 1 && said.errors.contains("is in use: an agent runs on it"))
        holder.shutDown()
        try FileManager.default.removeItem(atPath: data)
    }

    @Test func `another mesh's journal is told by the configuration`() async throws {
        let data = try made()
        try """
        cluster: 00000000000000000000000000000001
        members: [{id: 1, region: a, role: data, address: "a:1"}]
        primaryRegion: a
        """.write(toFile: data + "/cluster.yaml", atomically: false, encoding: .utf8)
        try """
        node: 1
        cluster: cluster.yaml
        data: \(data)
        tls: {ca: a, certificate: b, key: c}
        """.write(toFile: data + "/node.yaml", atomically: false, encoding: .utf8)
        let said = try await Program.run(["log", "check", "--config", data + "/node.yaml"])
        #expect(
            said.code == 1 && said.errors.contains("belongs to cluster \(Self.cluster), group 1"))
        try FileManager.default.removeItem(atPath: data)
    }
}
