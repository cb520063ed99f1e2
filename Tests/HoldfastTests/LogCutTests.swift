import Alarms
import Disk
import Foundation
import Journal
import JournalCore
import Mesh
import Record
import Testing

/// What an operator does with the only log that is left, when it is damaged.
@Suite("A damaged log that nobody can mend")
struct LogCutTests {
    private static let cluster = ClusterID(high: 0x5f0c, low: 0xfeed)
    private static let group = GroupID(1)
    private let home: String
    private var data: String { home + "/data" }
    private var config: String { home + "/node.yaml" }

    /// A node that has a journal of five entries.
    init() async throws {
        home = try Program.freshDirectory()
        try """
        cluster: \(Self.cluster)
        members: [{id: 1, region: us-east-1, role: data, address: "127.0.0.1:7101"}]
        primaryRegion: us-east-1
        """.write(toFile: home + "/cluster.yaml", atomically: false, encoding: .utf8)
        try """
        node: 1
        cluster: cluster.yaml
        data: data
        run: run
        tls: {ca: ca.pem, certificate: node.pem, key: node.key}
        """.write(toFile: config, atomically: false, encoding: .utf8)
        #expect(try await Program.run(["init", "--config", config]).code == 0)
        for part in ["journal", "volumes"] {
            try FileManager.default.createDirectory(
                atPath: "\(data)/\(part)", withIntermediateDirectories: true)
        }
        var files = try FileDisk(data + "/journal")
        var (journal, _) = try JournalCore.open(
            &files, settings: JournalSettings(cluster: Self.cluster, group: Self.group),
            random: SeededRandom(seed: 1))
        for index in 1...5 as ClosedRange<UInt64> {
            let entry = Draft(.write, epoch: Epoch(1), payload: [1, 2, 3])
                .sealed(
                    at: Position(index: LogIndex(index), term: Term(1)), group: Self.group,
                    time: .zero)
            try journal.append([
                LogChange(
                    entries: [entry], hardState: HardState(term: Term(1), commit: LogIndex(3)))
            ])
        }
        files = journal.disk
        files.shutDown()
    }

    private func damage(block: Int) throws {
        let path = data + "/journal/segment-0000000000000001"
        var bytes = try Data(contentsOf: URL(filePath: path))
        bytes[block * 4_096 + Entry.headerByteCount] ^= 1
        try bytes.write(to: URL(filePath: path))
    }

    private func cut(_ words: [String] = []) async throws -> Program.Said {
        try await unlocked()
        return try await Program.run(["log", "cut", "--config", config] + words)
    }

    /// A child that another test forks just now holds a copy of every descriptor until its exec.
    private func unlocked() async throws {
        for part in ["journal", "volumes"] {
            for _ in 0..<1_000 {
                let lock = unsafe open("\(data)/\(part)", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                defer { close(lock) }
                if flock(lock, LOCK_EX | LOCK_NB) == 0 {
                    flock(lock, LOCK_UN)
                    break
                }
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    private func contents(_ part: String) throws -> [String: Data] {
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(data)/\(part)")
        return try Dictionary(
            uniqueKeysWithValues: names.map {
                ($0, try Data(contentsOf: URL(filePath: "\(data)/\(part)/\($0)")))
            })
    }

    @Test func `a whole log is not cut`() async throws {
        let said = try await cut()
        #expect(said.code == 1 && said.errors.contains("there is nothing to cut"))
        try FileManager.default.removeItem(atPath: home)
    }

    @Test func `what would be lost is said first, and nothing is done`() async throws {
        try damage(block: 2)
        let before = try contents("journal")
        let said = try await cut()
        #expect(said.code == 0)
        #expect(said.output.contains("4 entries, 2 to 5, of which 1 can't be read"))
        #expect(said.output.contains("entries up to 3 are known to be committed"))
        let wrong = try await cut(["--token", "00000000"])
        #expect(wrong.code == 1 && wrong.errors.contains("nothing was done"))
        #expect(try contents("journal") == before)
        #expect(!FileManager.default.fileExists(atPath: data + "/log-cuts"))
        try FileManager.default.removeItem(atPath: home)
    }

    @Test func `with its token the log is cut, written down, and told by an alarm`() async throws {
        try damage(block: 2)
        let said = try await cut()
        let token = try #require(said.output.split(whereSeparator: \.isWhitespace).last)
        let done = try await cut(["--token", "\(token)"])
        #expect(done.code == 0 && done.output.contains("the log ends before entry 2 now"))
        try await unlocked()
        let check = try await Program.run(["log", "check", "--data", data])
        #expect(check.code == 0 && check.output.contains("entries 1 to 1"), "\(check.errors)")
        let record = try String(contentsOfFile: data + "/log-cuts", encoding: .utf8)
        #expect(record.contains("uid \(getuid()): ended the log of node 1 before 2@1"))
        #expect(record.contains("token \(token)"))
        let bytes = try Data(contentsOf: URL(filePath: data + "/alarms"))
        let incidents = try #require(Incidents(parsing: Array(bytes)))
        #expect(incidents.standing.map(\.id.kind) == [.logCut])
        #expect(incidents.standing.map(\.id.index) == [LogIndex(2)])
        let again = try await cut(["--token", "\(token)"])
        #expect(again.code == 1 && again.errors.contains("there is nothing to cut"))
        try FileManager.default.removeItem(atPath: home)
    }
}
