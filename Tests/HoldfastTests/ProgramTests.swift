import Admin
import Foundation
import Testing

@testable import Holdfast

@Suite("The command line, run for real", .timeLimit(.minutes(2)))
struct ProgramTests {
    @Test func `a status for a program is the node's own answer`() async throws {
        let said = try await Program.ask(["status", "-o", "json"])
        let report = try JSONDecoder().decode(StatusReport.self, from: Data(said.output.utf8))
        #expect(said.code == 0 && report == Samples.healthy)
    }

    @Test func `a status for a person is the screen, without colour in a pipe`() async throws {
        let said = try await Program.ask(["status"])
        let lines = said.output.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(said.code == 0)
        #expect(
            lines.first
                == "OK: us-east-1 is primary (epoch 3), 3 of 3 nodes, quorum 2, nothing lagging")
        #expect(!said.output.contains("\u{1b}"))
    }

    @Test func `a watch in a pipe says each state once`() async throws {
        let said = try await Program.ask(["status", "--watch"], for: 2_500)
        let lines = said.output.split(separator: "\n")
        #expect(lines.count == 1)
        #expect(lines.first?.contains(" UTC OK: us-east-1 is primary") == true)
    }

    @Test(
        arguments: [
            (Samples.healthy, 0), (Samples.oneDead, 1), (Samples.diskFull, 1),
            (Samples.takingOver, 4),
            (Samples.noQuorum, 4),
        ] as [(StatusReport, Int32)])
    func `a check says all in its exit code`(report: StatusReport, code: Int32) async throws {
        let said = try await Program.ask(["status", "--check"], report)
        #expect(said.code == code && said.output == "" && said.errors == "")
    }

    @Test func `a node that is behind itself is not well`() async throws {
        var report = Samples.healthy
        report.leader = 2
        report.members[0].lagEntries = 1_001
        #expect(try await Program.ask(["status", "--check"], report).code == 1)
        let said = try await Program.ask(["status"], report)
        #expect(said.output.contains("us-east-1 lags 1001 entries behind"))
    }

    @Test(arguments: [
        ["members"], ["raft"], ["volume", "list"], ["log", "dump"], ["status", "-o", "yaml"],
        ["members", "-o", "yaml"], ["raft", "-o", "json"],
        ["volume", "create", "new", "--size", "1G"], ["volume", "delete", "scratch", "--yes"],
        ["volume", "delete", "scratch", "--dry-run"], ["switchover", "us-west-2", "--yes"],
        ["members", "list"], ["members", "add", "4"], ["members", "add", "4", "--witness"],
        ["members", "remove", "3", "--yes"], ["members", "replace", "3", "--with", "4"],
        ["members", "cancel"], ["members", "add", "4", "-o", "json"],
        ["backup", "run"], ["backup", "run", "--full", "-o", "json"],
        ["backup", "run", "--detach"],
        ["backup", "status"], ["backup", "status", "-o", "yaml"],
    ])
    func `each command of a healthy mesh succeeds and says something`(
        arguments: [String]
    ) async throws {
        let said = try await Program.ask(arguments)
        #expect(said.code == 0 && !said.output.isEmpty && said.errors == "")
    }

    @Test func `a backup that is made tells what it read and stored`() async throws {
        let said = try await Program.ask(["backup", "run"])
        #expect(
            said.output
                == "backup 12, incremental, of entry 48213, in 2.3 s: 3 MiB read, 1 MiB stored\n")
        let refused = try await Program.ask(["backup", "run"], Samples.noQuorum)
        #expect(refused.code == 1 && refused.errors.contains("A backup is under way"))
    }

    @Test
    func
        `what has come of the schedule, and of reading over, is told with the last backup of this node`()
        async throws
    {
        let said = try await Program.ask(["backup", "status"])
        let lines = said.output.split(separator: "\n").dropFirst().map(String.init)
        #expect(
            lines == [
                "scrub: 41 % of the pass since 2026-11-27 08:00:00 UTC; all was read last at "
                    + "2026-11-26 08:00:00 UTC: 812 copies, 12 GiB",
                "scrub: 2 copies are damaged: `holdfast status` says which",
                "scrub: fails: no such bucket",
                "schedule: 15 * * * *, full at 0 3 * * 0 (UTC); next at 2026-11-27 09:15:00 UTC",
                "schedule: waits until the mesh is at feature level 2",
                "schedule: this node has no `backup` setting, and leaves them to others",
                "schedule: node 2 makes a full one for 2026-11-27 08:15:00 UTC",
                "schedule: the newest is backup 11, by node 3, as of 2026-11-27 07:15:01 UTC",
                "schedule: 2 tries in a row failed, at 2026-11-27 08:15:02 UTC on node 3: "
                    + "the store does not answer",
            ])
    }

    @Test func `a refusal is 1, and says what to do`() async throws {
        let said = try await Program.ask(["volume", "create", "db", "--size", "1G"])
        #expect(said.code == 1 && said.output == "")
        #expect(
            said.errors == """
                holdfast: The volume exists. A volume named db exists.
                  Choose another name; `holdfast volume list` shows those taken.

                """)
        let gone = try await Program.ask(["volume", "delete", "none", "--dry-run"])
        #expect(gone.code == 1)
    }

    @Test func `a refusal for a program is the problem document`() async throws {
        let said = try await Program.ask(["volume", "create", "db", "--size", "1G", "-o", "json"])
        let problem = try JSONDecoder().decode(Problem.self, from: Data(said.errors.utf8))
        #expect(said.code == 1 && problem == Problem(.volume(.exists(name: "db"))))
    }

    @Test(arguments: [
        ["volume", "delete", "scratch"], ["switchover", "us-west-2"], ["volume", "create", "x"],
        ["cert", "init", "--dir", "/tmp/none", "--replace"], ["nonsense"],
        ["restore", "--volume", "db", "--range", "0+4K", "--to", "/tmp/none", "--replace"],
        ["restore", "--cluster", "/tmp/none", "--replace"],
        ["volume", "distrust", "db", "--range", "0+4K"], ["volume", "distrust", "db", "--yes"],
    ])
    func `misuse is 2, as is a deed that nobody could confirm`(arguments: [String]) async throws {
        let said = try await Program.ask(arguments)
        #expect(said.code == 2 && said.output == "" && !said.errors.isEmpty)
    }

    @Test func `on a terminal the name confirms, and anything else does nothing`() async throws {
        let words = ["volume", "delete", "scratch"]
        let yes = try await Program.type("scratch\n", to: words)
        #expect(yes.code == 0 && yes.output.contains("and all that is on it, type scratch: "))
        for typed in ["y\n", "yes\n", "Scratch\n", "\n", ""] {
            let no = try await Program.type(typed, to: words)
            #expect(no.code == 1 && no.output.contains("not confirmed; nothing was done"))
        }
    }

    @Test(
        arguments: [
            (["switchover", "mars"], "Use one of: us-east-1, us-west-2, eu-west-1."),
            (["switchover", "us-east-1"], "Region us-east-1 is the primary."),
            (["volume", "delete", "nope"], "Use one of: db, scratch."),
            (["volume", "delete", "db"], "1 client has db open."),
            (["volume", "delete", "db", "--dry-run"], "1 client has db open."),
        ] as [([String], String)])
    func `what can't be is refused before anybody has to confirm it`(
        words: [String], told: String
    ) async throws {
        let said = try await Program.ask(words)
        #expect(said.code == 1 && said.output == "" && said.errors.contains(told))
    }

    @Test func `a volume is deleted where its clients would be seen`() async throws {
        var report = Samples.healthy
        report.primary?.acting = false
        let said = try await Program.ask(["volume", "delete", "scratch", "--yes"], report)
        #expect(said.code == 1 && said.errors.contains("Ask a node of region us-east-1."))
    }

    @Test func `a witness is not taken for a node without volumes or regions`() async throws {
        for words in [["switchover", "us-west-2"], ["volume", "delete", "db"]] {
            let said = try await Program.ask(words, Samples.witness)
            #expect(said.code == 1 && said.errors.contains("Ask a node with role data."))
        }
    }

    @Test func `entries that the log does not hold are 1, with what it holds`() async throws {
        let said = try await Program.ask(["log", "dump", "--from", "99"])
        #expect(said.code == 1 && said.output == "")
        #expect(said.errors.contains("This node's log holds the indexes 41 to 42."))
    }

    @Test(
        arguments: [
            (["--from", "3"], "the log begins at 41: what was before is not in it"),
            (["--from", "41", "--to", "90"], "the log ends at 42: what is behind is not in it"),
            (["--from", "41", "--max", "1"], "--max 1 ends at 41: go on with --from 42"),
            (["--to", "42", "--max", "1"], "--max 1 begins at 42, up to 42"),
        ] as [([String], String)])
    func `what was asked of the log and is not shown is told`(
        bounds: [String], note: String
    ) async throws {
        let said = try await Program.ask(["log", "dump"] + bounds)
        #expect(said.code == 0 && said.output.contains(note), "\(said.output)")
        let json = try await Program.ask(["log", "dump", "-o", "json"] + bounds)
        #expect(json.code == 0 && json.errors.contains(note) && !json.output.contains(note))
        let whole = try await Program.ask(["log", "dump", "--from", "41", "--to", "42"])
        #expect(!whole.output.contains("the log ") && !whole.output.contains("--max"))
    }

    @Test func `in a pipe no line is broken`() async throws {
        var report = Samples.noQuorum
        report.alarms = Samples.diskFull.alarms
        let said = try await Program.ask(["status"], report)
        let first = try #require(said.output.split(separator: "\n").first)
        #expect(first.hasSuffix("us-east-1 (node 1) is dead and eu-west-1 (node 3) is suspect"))
        #expect(said.output.contains("has no space left for segment-42\n  do: free"))
    }

    @Test func `alarms are listed with what to do, and cleared by name`() async throws {
        let list = try await Program.ask(["alarm", "list"], Samples.diskFull)
        #expect(list.code == 0 && list.output.contains("CRITICAL disk-full: writes wait"))
        #expect(try await Program.ask(["alarm", "list"]).output == "there are no alarms\n")
        let done = try await Program.ask(["alarm", "clear", "replica-lost"])
        #expect(done.code == 0 && done.output == "cleared replica-lost: 1 incident\n")
        let json = try await Program.ask(["alarm", "clear", "replica-lost", "-o", "json"])
        #expect(json.output.contains("\"cleared\" : 1"))
        let stays = try await Program.ask(["alarm", "clear", "disk-full"])
        #expect(stays.code == 1 && stays.errors.contains("ends with it"))
    }

    /// In the shape of /run/holdfast, which belongs to the node's user alone.
    @Test(.enabled(if: geteuid() == 0)) func `who may not use the socket is told who may`()
        async throws
    {
        let directory = try Program.freshDirectory()
        try FileManager.default.copyItem(atPath: Program.path, toPath: directory + "/holdfast")
        let run = directory + "/run"
        try FileManager.default.createDirectory(atPath: run, withIntermediateDirectories: true)
        for (path, mode) in [(directory, 0o755), (directory + "/holdfast", 0o755), (run, 0o700)] {
            try #require(unsafe chmod(path, mode_t(mode)) == 0)
        }
        // daemon, 1, is there on every Debian.
        try #require(unsafe chown(run, 1, 1) == 0)
        let said = try await Program.run(
            [
                "--reuid=65534", "--regid=65534", "--clear-groups", directory + "/holdfast",
                "--socket", run + "/admin.sock", "status",
            ], program: "/usr/bin/setpriv")
        #expect(said.code == 3)
        #expect(said.errors.contains("only root and the node's own user, who is daemon, may"))
        #expect(said.errors.contains("sudo") && !said.errors.contains("Start the agent"))
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test func `no agent is 3`() async throws {
        let said = try await Program.run(["--socket", "/tmp/none/admin.sock", "status"])
        #expect(said.code == 3)
        #expect(said.errors.contains("no agent answers on /tmp/none/admin.sock"))
    }

    @Test func `no quorum is 4`() async throws {
        let said = try await Program.ask(
            ["volume", "create", "new", "--size", "1G"], Samples.noQuorum)
        #expect(said.code == 4)
        #expect(said.errors.contains("1 voter is reachable, 2 are needed"))
    }

    /// The primary that was named last may be the very node that is dead.
    @Test(arguments: [
        ["volume", "delete", "scratch", "--yes"], ["volume", "delete", "none", "--dry-run"],
        ["switchover", "eu-west-1", "--yes"], ["switchover", "mars"],
    ])
    func `what can't be decided is refused with that alone`(words: [String]) async throws {
        let said = try await Program.ask(words, Samples.noQuorum)
        #expect(said.code == 4 && said.output == "" && said.errors.contains("No quorum."))
        #expect(!said.errors.contains("Ask a node") && !said.errors.contains("Use one of"))
    }

    @Test func `nobody is sent to a dead primary to delete a volume`() async throws {
        let said = try await Program.ask(
            ["volume", "delete", "scratch", "--yes"], Samples.takingOver)
        #expect(said.code == 4 && said.errors.contains("us-east-1 was primary and is not heard"))
    }

    @Test func `help and version are no errors`() async throws {
        #expect(try await Program.run(["--version"]).output == "0.1.0\n")
        let help = try await Program.run(["help", "volume", "create"])
        #expect(help.code == 0 && help.output.contains("--size <size>"))
        let completion = try await Program.run(["--generate-completion-script", "bash"])
        #expect(completion.code == 0 && completion.output.contains("switchover"))
    }
}

@Suite("Certificates and configuration from the command line")
struct FilesTests {
    @Test func `an authority, a node's certificate and its renewal`() async throws {
        let directory = try Program.freshDirectory()
        let id = "5f0c3a7e9b2d48c1a6e4f7d08b15c392"
        let made = try await Program.run(["cert", "init", "--dir", directory, "--cluster", id])
        #expect(made.code == 0 && made.output.contains("for cluster \(id)"))
        let node = ["--dir", directory, "--node", "2"]
        let issued = try await Program.run(
            ["cert", "issue", "--region", "us-west-2", "--address", "127.0.0.1"] + node)
        #expect(issued.code == 0)
        for name in ["ca.pem", "ca.key", "node-2.pem", "node-2.key"] {
            #expect(FileManager.default.fileExists(atPath: "\(directory)/\(name)"), "\(name)")
        }
        let key = try String(contentsOfFile: directory + "/node-2.key", encoding: .utf8)
        let again = try await Program.run(["cert", "issue", "--region", "us-west-2"] + node)
        #expect(again.code == 1 && again.errors.contains("Give --replace"))
        #expect(try String(contentsOfFile: directory + "/node-2.key", encoding: .utf8) == key)
        #expect(try await Program.run(["cert", "renew"] + node).code == 0)
        let json = try await Program.run(["cert", "renew", "--days", "1", "-o", "json"] + node)
        let value = try JSONDecoder().decode([String: JSONValue].self, from: Data(json.output.utf8))
        #expect(value["key"] == .text(directory + "/node-2.key") && value["days"] == .signed(1))
        let day = try await Program.run(["cert", "renew", "--days", "1"] + node)
        #expect(day.output.contains("valid for 1 day\n") && day.output.contains("SIGHUP"))
        #expect(try String(contentsOfFile: directory + "/node-2.key", encoding: .utf8) != key)
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test func `a faulty configuration is told with file, line and key`() async throws {
        let directory = try Program.freshDirectory()
        let file = directory + "/node.yaml"
        try "node: 1\nclutser: c.yaml\ntls: {ca: a, certificate: b, key: c}\n"
            .write(toFile: file, atomically: false, encoding: .utf8)
        let said = try await Program.run(["config", "check", file])
        #expect(said.code == 1 && said.errors.contains("\(file):2: clutser: is not a known key"))
        #expect(said.errors.contains("did you mean cluster?"))
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test func `a configuration's certificates are checked with it`() async throws {
        let directory = try Program.freshDirectory()
        let id = "5f0c3a7e9b2d48c1a6e4f7d08b15c392"
        let file = directory + "/node.yaml"
        try """
        node: 1
        cluster: c.yaml
        tls: {ca: ca.pem, certificate: node-1.pem, key: node-1.key}
        """.write(toFile: file, atomically: false, encoding: .utf8)
        try """
        cluster: \(id)
        members: [{id: 1, region: a, role: data, address: "127.0.0.1:7100"}]
        primaryRegion: a
        """.write(toFile: directory + "/c.yaml", atomically: false, encoding: .utf8)
        let early = try await Program.run(["config", "check", file])
        #expect(early.code == 0 && early.output.contains("node-1.key is not there yet"))
        let json = try await Program.run(["config", "check", file, "-o", "json"])
        #expect(json.code == 0 && json.output.contains("\"members\" : 1"))
        for name in ["ca.pem", "node-1.pem", "node-1.key"] {
            // It is there, and nobody can read it, not even root.
            try FileManager.default.createSymbolicLink(
                atPath: "\(directory)/\(name)", withDestinationPath: name)
        }
        let unreadable = try await Program.run(["config", "check", file])
        #expect(unreadable.code == 1 && !unreadable.errors.contains("not there yet"))
        #expect(unreadable.errors.contains("cannot open \(directory)/node-1.key"))
        for name in ["ca.pem", "node-1.pem", "node-1.key"] {
            try FileManager.default.removeItem(atPath: "\(directory)/\(name)")
        }
        _ = try await Program.run(["cert", "init", "--dir", directory, "--cluster", id])
        let issue = ["cert", "issue", "--dir", directory, "--node"]
        _ = try await Program.run(issue + ["1", "--region", "a"])
        let good = try await Program.run(["config", "check", file])
        #expect(good.code == 0 && good.output.contains("is this node's, and signed by"))
        _ = try await Program.run(issue + ["1", "--region", "b", "--replace"])
        try FileManager.default.removeItem(atPath: directory + "/node-1.key")
        let bad = try await Program.run(["config", "check", file])
        #expect(bad.code == 1 && bad.output == "" && bad.errors.contains("2 faults"))
        #expect(bad.errors.contains("node-1.pem is of node 1 in b"))
        #expect(bad.errors.contains("cannot open \(directory)/node-1.key"))
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test func `what is shown of a configuration is itself one`() async throws {
        let defaults = try await Program.run(["config", "show", "--defaults"])
        #expect(
            defaults.output.contains("lease: 400ms") && defaults.output.contains("/run/holdfast"))
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let example = root.appending(path: "cluster-configs/three-regions/node-1.yaml").path()
        #expect(try await Program.run(["config", "check", example]).code == 0)
        let json = try await Program.run(["config", "show", example, "-o", "json"])
        let value = try JSONDecoder().decode([String: JSONValue].self, from: Data(json.output.utf8))
        #expect(Set(value.keys) == ["node", "cluster"])
        let shown = try await Program.run(["config", "show", example]).output
        let parts = shown.components(separatedBy: "# The cluster's file.")
        let directory = try Program.freshDirectory()
        let file = directory + "/node.yaml"
        try (parts.first ?? "").replacing(/cluster: .*/, with: "cluster: cluster.yaml")
            .write(toFile: file, atomically: false, encoding: .utf8)
        try (parts.last ?? "").write(
            toFile: directory + "/cluster.yaml", atomically: false, encoding: .utf8)
        #expect(try await Program.run(["config", "check", file]).code == 0)
        try FileManager.default.removeItem(atPath: directory)
    }
}
