import Admin
import Alarms
import Foundation
import Mesh
import Testing

/// Two agents and a witness as an operator runs them, each with a cluster file of its own.
@Suite("What every node of a mesh tells its operator", .timeLimit(.minutes(3)))
final class MeshTests {
    private static let cluster = "5f0c3a7e9b2d48c1a6e4f7d08b15c392"
    private static let regions = ["us-east-1", "us-west-2", "eu-west-1"]
    private static let secondsMax = 40
    private let home: String
    private var running: [Int: Process] = [:]

    init() async throws {
        home = try Program.freshDirectory()
        let ports = try (1...3).map { _ in try FirstStartTests.freePort() }
        _ = try await Program.run(["cert", "init", "--dir", home, "--cluster", Self.cluster])
        for node in 1...3 {
            _ = try await Program.run([
                "cert", "issue", "--dir", home, "--node", "\(node)", "--region",
                Self.regions[node - 1], "--address", "127.0.0.1",
            ])
            try write(lease: "400ms", ports: ports, of: node)
            try """
            node: \(node)
            cluster: cluster-\(node).yaml
            data: data-\(node)
            run: run-\(node)
            tls: {ca: ca.pem, certificate: node-\(node).pem, key: node-\(node).key}
            """.write(toFile: config(node), atomically: false, encoding: .utf8)
            #expect(try await Program.run(["init", "--config", config(node)]).code == 0)
        }
    }

    deinit {
        for process in running.values { process.terminate() }
        for process in running.values { process.waitUntilExit() }
        try? FileManager.default.removeItem(atPath: home)
    }

    private func config(_ node: Int) -> String { "\(home)/node-\(node).yaml" }

    private func write(lease: String, ports: [UInt16], of node: Int) throws {
        let members = (1...3).map { id in
            "  - {id: \(id), region: \(Self.regions[id - 1]), role: \(id == 3 ? "witness" : "data"), "
                + "address: \"127.0.0.1:\(ports[id - 1])\"}\n"
        }
        try """
        cluster: \(Self.cluster)
        members:
        \(members.joined())primaryRegion: us-east-1
        lease: \(lease)

        """.write(toFile: "\(home)/cluster-\(node).yaml", atomically: false, encoding: .utf8)
    }

    private func setLease(_ lease: String, of node: Int) throws {
        let path = "\(home)/cluster-\(node).yaml"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try text.replacing(/lease: .*/, with: "lease: \(lease)")
            .write(toFile: path, atomically: false, encoding: .utf8)
    }

    private func start(_ node: Int) throws {
        let process = Process()
        let name = node == 3 ? "holdfast-witness" : "holdfast-agent"
        process.executableURL = URL(filePath: try Program.path).deletingLastPathComponent()
            .appending(path: name)
        process.arguments = ["--config", config(node)]
        process.standardInput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        running[node] = process
    }

    private func stop(_ node: Int) {
        running[node]?.terminate()
        running[node]?.waitUntilExit()
        running[node] = nil
    }

    private func ask(_ node: Int, _ words: [String]) async throws -> Program.Said {
        try await Program.run(["--socket", "\(home)/run-\(node)/admin.sock"] + words)
    }

    /// What is answered once that is `wanted`, or at last. Nodes tell nobody unasked, so each is asked
    /// again and again, as a monitor does.
    private func eventually<Answer>(
        _ wanted: (Answer) -> Bool, _ ask: () async throws -> Answer
    ) async throws -> Answer {
        let end = ContinuousClock.now + .seconds(Self.secondsMax)
        while true {
            let answer = try await ask()
            if wanted(answer) || ContinuousClock.now >= end { return answer }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    /// The alarms of a node; none while it does not answer.
    private func alarms(_ node: Int, until wanted: ([Alarm]) -> Bool) async throws -> [Alarm] {
        try await eventually({ $0.map(wanted) ?? false }) {
            let said = try await ask(node, ["alarm", "list", "-o", "json"])
            guard said.code == 0 else { return [Alarm]?.none }
            return try JSONDecoder().decode(AlarmsReport.self, from: Data(said.output.utf8)).alarms
        } ?? []
    }

    /// What a monitor is told: a mesh that starts has no primary yet.
    private func check(_ node: Int, until wanted: Int32) async throws -> Int32 {
        try await eventually({ $0 == wanted }) { try await ask(node, ["status", "--check"]).code }
    }

    private func has(_ code: AlarmCode, _ alarms: [Alarm]) -> Bool {
        alarms.contains { $0.code == code.rawValue }
    }

    @Test func `a cluster file that differs is told by every node, until it is the same again`()
        async throws
    {
        try setLease("300ms", of: 3)
        for node in 1...3 { try start(node) }
        for node in 1...3 {
            // One for each node whose file is another one than its own.
            let count = node == 3 ? 2 : 1
            func differing(_ alarms: [Alarm]) -> [Alarm] {
                alarms.filter { $0.code == AlarmCode.clusterFileDiffers.rawValue }
            }
            let alarms = try await alarms(node) { differing($0).count == count }
            let found = differing(alarms)
            #expect(found.allSatisfy { $0.severity == .critical && $0.text.contains("node 3") })
            #expect(found.count == count, "node \(node): \(alarms)")
        }
        stop(3)
        let left = try await alarms(1) { has(.memberLeft, $0) }
        #expect(has(.memberLeft, left) && !has(.clusterFileDiffers, left), "\(left)")
        try setLease("400ms", of: 3)
        try start(3)
        for node in 1...3 { #expect(try await alarms(node) { $0.isEmpty } == [], "node \(node)") }
        #expect(try await check(3, until: 0) == 0)
    }

    @Test func `a certificate that ends soon is told until a renewed one was read`() async throws {
        let renew = ["cert", "renew", "--dir", home, "--node"]
        #expect(try await Program.run(renew + ["1", "--days", "5"]).code == 0)
        #expect(try await Program.run(renew + ["3", "--days", "20"]).code == 0)
        for node in 1...3 { try start(node) }
        for (node, severity) in [(1, Alarm.Severity.critical), (3, .warning)] {
            let found = try await alarms(node) { has(.certificateExpires, $0) }
                .filter { $0.code == AlarmCode.certificateExpires.rawValue }
            #expect(found.map(\.severity) == [severity], "node \(node)")
        }
        #expect(try await check(1, until: 1) == 1)
        for node in [1, 3] {
            #expect(try await Program.run(renew + ["\(node)"]).code == 0)
            let before = try await alarms(node) { _ in true }
            #expect(has(.certificateExpires, before), "what counts is what was read")
            let process = try #require(running[node])
            #expect(kill(process.processIdentifier, SIGHUP) == 0)
            #expect(try await alarms(node) { $0.isEmpty } == [], "node \(node)")
        }
    }

    /// What docs/operations.md forbids: a node that has served is emptied and made anew.
    @Test func `a lost replica is told by all, past the end of its leader`() async throws {
        for node in 1...3 { try start(node) }
        for node in 1...3 { #expect(try await check(node, until: 0) == 0, "node \(node)") }
        let leader = try await leader()
        let loser = 3 - leader
        stop(loser)
        try FileManager.default.removeItem(atPath: "\(home)/data-\(loser)")
        #expect(try await Program.run(["init", "--config", config(loser)]).code == 0)
        try start(loser)
        for node in 1...3 {
            // It gets everything back, since the log still begins with its first entry.
            let found = try await alarms(node) { alarms in
                alarms.contains { $0.code == "replica-lost" && $0.severity == .warning }
            }
            #expect(found.contains { $0.text.hasPrefix("node \(loser) in ") }, "\(node): \(found)")
        }
        stop(leader)
        try start(leader)
        for node in 1...3 {
            let found = try await alarms(node) { has(.replicaLost, $0) && !has(.memberLeft, $0) }
            #expect(has(.replicaLost, found), "node \(node): \(found)")
        }
        let cleared = try await ask(loser, ["alarm", "clear", "replica-lost"])
        #expect(cleared.code == 0)
        for node in 1...3 { #expect(try await alarms(node) { $0.isEmpty } == [], "node \(node)") }
    }

    private func leader() async throws -> Int {
        let said = try await ask(3, ["status", "-o", "json"])
        let report = try JSONDecoder().decode(StatusReport.self, from: Data(said.output.utf8))
        return Int(try #require(report.leader))
    }

    @Test func `what one node saw shows on all, past restarts, until it is cleared on any`()
        async throws
    {
        var incidents = Incidents()
        incidents.note(
            .replicaLost, about: NodeID(1), index: LogIndex(7), seenBy: NodeID(2),
            at: 1_795_500_000_000)
        try Data(incidents.encoded).write(to: URL(filePath: home + "/data-2/alarms"))
        for node in 1...3 { try start(node) }
        for node in 1...3 {
            let alarms = try await alarms(node) { has(.replicaLost, $0) }
            #expect(has(.replicaLost, alarms), "node \(node): \(alarms)")
        }
        stop(1)
        try start(1)
        let again = try await alarms(1) { has(.replicaLost, $0) }
        #expect(has(.replicaLost, again))
        let cleared = try await ask(3, ["alarm", "clear", "replica-lost"])
        #expect(cleared.code == 0 && cleared.output == "cleared replica-lost: 1 incident\n")
        for node in 1...3 {
            let alarms = try await alarms(node) { $0.isEmpty }
            #expect(alarms == [], "node \(node)")
        }
        stop(2)
        try start(2)
        #expect(try await alarms(2) { $0.isEmpty } == [])
        let status = try await ask(1, ["status"])
        #expect(status.output.contains("LAST TAKEOVER") && !status.output.contains("replica-lost"))
    }
}
