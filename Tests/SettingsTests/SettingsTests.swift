import Decisions
import Foundation
import Mesh
import Schedule
import Settings
import Testing

private let lawful = """
    cluster: 5f0c3a7e9b2d48c1a6e4f7d08b15c392
    members:
      - {id: 2, region: us-west-2, role: data, address: "127.0.0.1:7102"}
      - {id: 1, region: us-east-1, role: data, address: "127.0.0.1:7101"}
      - {id: 3, region: mid, role: witness, address: "[::1]:7103"}
    primaryRegion: us-east-1
    secondaryRegions: [us-west-2]
    """

private func faults(_ text: String) -> [String] {
    do {
        _ = try ClusterSettings(parsing: text, file: "c.yaml")
        return []
    } catch { return error.all.map(\.description) }
}

private func faults(replacing old: String, with new: String) -> [String] {
    precondition(lawful.contains(old), "the sample no longer holds \(old)")
    return faults(lawful.replacingOccurrences(of: old, with: new))
}

@Suite("The cluster's file")
struct ClusterSettingsTests {
    @Test func `a lawful file gives its values, members by id, and the default lease`() throws {
        let settings = try ClusterSettings(parsing: lawful, file: "c.yaml")
        #expect(settings.members.map(\.id) == [NodeID(1), NodeID(2), NodeID(3)])
        #expect(settings.witness?.address.description == "[::1]:7103")
        #expect(settings.dataMembers.count == 2)
        #expect(settings.lease.length == ClusterSettings.leaseDefault)
    }

    @Test func `a fault names file, line, key, and what was expected`() {
        #expect(
            faults(replacing: "127.0.0.1:7102", with: "127.0.0.1")
                == ["c.yaml:3: members[0].address: expected host:port, found \"127.0.0.1\""])
    }

    @Test func `an unknown key is named with the nearest known one`() {
        #expect(
            faults(replacing: "primaryRegion", with: "primaryRegoin").contains(
                "c.yaml:6: primaryRegoin: is not a known key; did you mean primaryRegion?"))
    }

    @Test func `all faults are told at once`() {
        let text = lawful.replacingOccurrences(of: "role: data", with: "role: dat")
            .replacingOccurrences(of: "5f0c", with: "xyz")
        #expect(faults(text).count == 3)
    }

    /// Twelve lists of eight times the one before are 2^36 nodes; as a key they'd be compared.
    @Test func `aliases that grow without end are refused before they do`() {
        var text = "a0: &a0 [x]\n"
        for level in 1...12 {
            let former = [String](repeating: "*a\(level - 1)", count: 8).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(former)]\n"
        }
        let refused = "c.yaml: has more than 32 aliases (*name); write them out"
        #expect(faults(text + "? *a12\n: 1\n? *a11\n: 2\n") == [refused])
        let stars = String(repeating: "*", count: 64)
        #expect(faults("# \(stars)\n" + lawful + "\n  # \(stars)\n") == [])
        #expect(faults("# \u{85}\(stars)\n" + lawful) == [refused])
    }

    @Test(.timeLimit(.minutes(1)))
    func `a file full of keys or members is refused at once, and a longer one unread`() {
        let keys = (0..<6_000).map { "k\($0): 1\n" }.joined()
        #expect(faults(keys).count > 6_000)
        let members = (1...900).map { "- {id: \($0), region: a, role: data, address: 'a:\($0)'}\n" }
        #expect(
            faults("members:\n" + members.joined()).contains(
                "c.yaml:9: members: 900 members vote; at most 7 may"))
        #expect(faults(keys + keys) == ["c.yaml: is longer than 65536 bytes"])
    }

    @Test func `a schedule of backups is read, and may be absent`() throws {
        #expect(try ClusterSettings(parsing: lawful, file: "c.yaml").backups == nil)
        let text = lawful + "\nbackups: {schedule: \"15 * * * *\", full: \"0 3 * * sun\"}"
        let backups = try ClusterSettings(parsing: text, file: "c.yaml").backups
        #expect(backups?.runs.description == "15 * * * *")
        #expect(backups?.full?.description == "0 3 * * sun")
    }

    @Test(arguments: [
        (
            "backups: {full: \"0 3 * * 0\"}",
            "c.yaml:8: backups.schedule: is missing; expected minute"
        ),
        (
            "backups: {schedule: \"0 25 * * *\"}",
            "c.yaml:8: backups.schedule: has \"25\" for the hour"
        ),
        (
            "backups:\n  schedule: 15 * * * *\n  full: 0 0 30 2 *",
            "c.yaml:10: backups.full: names a day that never comes"
        ),
        (
            "backups: {schedule: \"0 1 * * *\", ful: \"0 3 * * 0\"}",
            "c.yaml:8: backups.ful: is not a known key; did you mean full?"
        ), ("backups: hourly", "c.yaml:8: backups: expected a mapping of keys"),
        ("backups: {schedule: [1]}", "c.yaml:8: backups.schedule: expected minute, hour"),
    ])
    func `a fault of the schedule is named by file, line and key`(text: String, why: String) {
        let all = faults(lawful + "\n" + text)
        #expect(all.contains { $0.hasPrefix(why) }, "\(all)")
    }

    @Test func `a lease without a unit is refused`() {
        #expect(faults(lawful + "\nlease: 400").first?.contains("c.yaml:8: lease") == true)
        #expect(faults(lawful + "\nlease: 400ms").isEmpty)
        #expect(faults(lawful + "\nlease: 1ms").count == 1)
    }

    @Test(arguments: [
        ("id: 2", "id: 1", "is taken by line"),
        ("127.0.0.1:7102", "127.0.0.1:7101", "is taken by line"),
        (
            "role: data, address: \"127.0.0.1:7102\"}",
            "role: witness, address: \"a:1\"}\n  - {id: 9, region: mid, role: witness, address: \"b:1\"}",
            "at most one witness, and another only while it is replaced"
        ),
        ("primaryRegion: us-east-1", "primaryRegion: mid", "no data member is in region mid"),
        ("[us-west-2]", "[us-east-1]", "is the primaryRegion"),
        ("[us-west-2]", "us-west-2", "expected a list"),
        ("id: 1", "id: 0", "expected a whole number from 1"),
        ("members:", "member:", "is missing; expected a list"),
    ])
    func `what cannot work is refused`(old: String, new: String, problem: String) {
        #expect(faults(replacing: old, with: new).contains { $0.contains(problem) })
    }

    @Test(arguments: ["", "[]", "a: [", "a: 1\na: 2", "- 1", "\"text\"", "{a: {a: "])
    func `what is no mapping is refused without a crash`(text: String) {
        #expect(!faults(text).isEmpty)
    }

    @Test func `every prefix of a lawful file is read or refused`() {
        for count in 0..<lawful.utf8.count {
            _ = faults(String(decoding: lawful.utf8.prefix(count), as: UTF8.self))
        }
    }

    @Test func `eight voters are too many`() {
        let more = (4...8).map {
            "  - {id: \($0), region: r\($0), role: data, address: \"127.0.0.1:720\($0)\"}"
        }.joined(separator: "\n")
        let found = faults(
            replacing: "primaryRegion: us-east-1", with: more + "\nprimaryRegion: us-east-1")
        #expect(found.contains { $0.contains("8 members vote; at most 7 may") })
    }
}

@Suite("A node's file, and both together")
struct AgentSettingsTests {
    private let files = [
        "/etc/holdfast/node.yaml": """
        node: 1
        cluster: cluster.yaml
        tls: {ca: ca.pem, certificate: /x/node-1.pem, key: node-1.key}
        """,
        "/etc/holdfast/cluster.yaml": lawful,
    ]

    @Test func `paths are relative to the file, and the defaults are filled in`() throws {
        let settings = try AgentSettings(file: "/etc/holdfast/node.yaml") { files[$0] }
        #expect(settings.member.region.text == "us-east-1")
        #expect(settings.node.tls.ca == "/etc/holdfast/ca.pem")
        #expect(settings.node.tls.certificate == "/x/node-1.pem")
        #expect(settings.node.data == NodeSettings.dataDefault)
        #expect(settings.node.nbd == nil)
        #expect((settings.node.logLevel, settings.node.logFormat) == (.info, .text))
    }

    @Test func `a missing cluster file is named`() {
        do {
            _ = try AgentSettings(file: "/etc/holdfast/node.yaml") {
                $0.hasSuffix("node.yaml") ? files[$0] : nil
            }
            Issue.record("a missing file was read")
        } catch {
            #expect(error.description.hasPrefix("/etc/holdfast/cluster.yaml: cannot be read"))
        }
    }

    @Test func `a node that is no member is told who is`() {
        var files = files
        files["/etc/holdfast/node.yaml"] = files["/etc/holdfast/node.yaml"]?
            .replacingOccurrences(of: "node: 1\n", with: "node: 9\n")
        do {
            _ = try AgentSettings(file: "/etc/holdfast/node.yaml") { files[$0] }
            Issue.record("node 9 was accepted")
        } catch {
            #expect(error.description.contains("9 is no member"))
            #expect(error.description.contains("1, 2, 3"))
        }
    }

    @Test func `how much log is kept and how fast is copied are sizes within bounds`() throws {
        let own = "node: 1\ncluster: c\ntls: {ca: a, certificate: b, key: c}\n"
        let usual = try NodeSettings(parsing: own, file: "n")
        #expect((usual.logKept, usual.resyncRate) == (8 << 30, 100 << 20))
        let set = try NodeSettings(parsing: own + "logKept: 16M\nresyncRate: 1G", file: "n")
        #expect((set.logKept, set.resyncRate) == (16 << 20, 1 << 30))
        for text in ["15M", "2T", "8", "1.5G", "many", "99999999999999999999G"] {
            do {
                _ = try NodeSettings(parsing: own + "logKept: \(text)", file: "n")
                Issue.record("\(text) was accepted")
            } catch {
                #expect(error.all.map(\.key) == ["logKept"])
                #expect("\(error)".contains("16M to 1024G"))
            }
        }
    }

    @Test func `snapshots have the room that is named, or there are none`() throws {
        let own = "node: 1\ncluster: c\ntls: {ca: a, certificate: b, key: c}\n"
        #expect(try NodeSettings(parsing: own, file: "n").snapshotRoom == nil)
        let set = try NodeSettings(parsing: own + "snapshots: {room: 10G}", file: "n")
        #expect(set.snapshotRoom == 10 << 30)
        for text in ["{}", "{room: 15M}", "{room: 65G}", "{room: 10}", "{space: 10G}"] {
            do {
                _ = try NodeSettings(parsing: own + "snapshots: \(text)", file: "n")
                Issue.record("\(text) was accepted")
            } catch {
                #expect(error.all.allSatisfy { $0.key.hasPrefix("snapshots.") }, "\(error)")
            }
        }
    }

    @Test func `images are read over within days, of a year at most`() throws {
        let own = "node: 1\ncluster: c\ntls: {ca: a, certificate: b, key: c}\n"
        #expect(try NodeSettings(parsing: own, file: "n").scrubPeriod == .seconds(14 * 86_400))
        let set = try NodeSettings(parsing: own + "scrubDays: 365", file: "n")
        #expect(set.scrubPeriod == .seconds(365 * 86_400))
        for text in ["0", "366", "-1", "1.5", "week"] {
            do {
                _ = try NodeSettings(parsing: own + "scrubDays: \(text)", file: "n")
                Issue.record("\(text) was accepted")
            } catch {
                #expect(error.all.map(\.key) == ["scrubDays"])
            }
        }
    }

    @Test func `the key of backups is rotated after ninety days, or as many as are set`() throws {
        func read(_ words: String) throws(Faults) -> NodeSettings {
            try NodeSettings(
                parsing: "node: 1\ncluster: c\ntls: {ca: a, certificate: b, key: c}\n"
                    + "backup: {directory: d, key: k\(words)}", file: "n")
        }
        #expect(try read("").backup?.rotatePeriod == .seconds(90 * 86_400))
        #expect(try read(", rotateDays: 3650").backup?.rotatePeriod == .seconds(3_650 * 86_400))
        for text in ["0", "3651", "never"] {
            let faults = #expect(throws: Faults.self) { try read(", rotateDays: \(text)") }
            #expect(faults?.all.map(\.key) == ["backup.rotateDays"])
        }
    }

    @Test func `the log is shipped each second and late after thirty, or as is set`() throws {
        func read(_ words: String) throws(Faults) -> NodeSettings.Shipping? {
            try NodeSettings(
                parsing: "node: 1\ncluster: c\ntls: {ca: a, certificate: b, key: c}\n"
                    + "backup: {directory: d, key: k\(words)}", file: "n"
            ).backup?.shipping
        }
        let usual = try #require(try read(""))
        #expect(usual.every == .seconds(1) && usual.lateAfter == .seconds(30))
        let set = try #require(try read(", shipEvery: 200ms, shipLateAfter: 2s"))
        #expect(set.every == .milliseconds(200) && set.lateAfter == .seconds(2))
        #expect(try read(", shipEvery: 60s, shipLateAfter: 1d")?.every == .seconds(60))
        for text in ["199ms", "61s", "1", "often"] {
            let faults = #expect(throws: Faults.self) { try read(", shipEvery: \(text)") }
            #expect(faults?.all.map(\.key) == ["backup.shipEvery"])
        }
        for words in [
            "shipLateAfter: 1s", "shipLateAfter: 2d", "shipEvery: 16s",
            "shipEvery: 2s, shipLateAfter: 3s",
        ] {
            let faults = #expect(throws: Faults.self) { try read(", \(words)") }
            #expect(faults?.all.map(\.key) == ["backup.shipLateAfter"], "\(words)")
        }
    }

    @Test func `the repository is read over as often and as fast as is set, or not at all`() throws
    {
        func read(_ words: String) throws(Faults) -> NodeSettings.Scrub? {
            try NodeSettings(
                parsing: "node: 1\ncluster: c\ntls: {ca: a, certificate: b, key: c}\n"
                    + "backup: {directory: d, key: k\(words)}", file: "n"
            ).backup?.scrub
        }
        #expect(try read("") == nil)
        let usual = try #require(try read(", scrubEvery: 30d"))
        #expect(usual.every == .seconds(30 * 86_400) && usual.rate == 50 << 20)
        #expect(try read(", scrubEvery: 30s, scrubRate: 1M")?.rate == 1 << 20)
        for (words, key) in [
            ("scrubEvery: 29s", "scrubEvery"), ("scrubEvery: 367d", "scrubEvery"),
            ("scrubEvery: 1d, scrubRate: 1K", "scrubRate"), ("scrubRate: 5M", "scrubRate"),
        ] {
            let faults = #expect(throws: Faults.self) { try read(", \(words)") }
            #expect(faults?.all.map(\.key) == ["backup.\(key)"], "\(words)")
        }
    }

    @Test func `a backup may take all it gets, or so many bytes a second`() throws {
        func rate(_ words: String) throws(Faults) -> UInt64? {
            try NodeSettings(
                parsing: "node: 1\ncluster: c\ntls: {ca: a, certificate: b, key: c}\n"
                    + "backup: {directory: d, key: k\(words)}", file: "n"
            ).backup?.rate
        }
        #expect(try rate("") == nil)
        #expect(try rate(", rate: 50M") == 50 << 20)
        #expect(try rate(", rate: 128K") == 128 << 10)
        for words in ["127K", "65G", "0", "fast"] {
            let faults = #expect(throws: Faults.self) { try rate(", rate: \(words)") }
            #expect(faults?.all.map(\.key) == ["backup.rate"], "\(words)")
            #expect(faults?.description.contains("128K to 64G") == true, "\(words)")
        }
    }

    @Test func `a node's faults are told together`() {
        do {
            _ = try NodeSettings(
                parsing: "node: x\ntls: {ca: a}\nlog: {level: loud}\nnbd: {}\nspeed: 3", file: "n")
            Issue.record("a faulty file was accepted")
        } catch {
            #expect(
                error.all.map(\.key) == [
                    "node", "cluster", "tls.certificate", "tls.key", "nbd.listen", "log.level",
                    "speed",
                ])
        }
    }

    @Test(arguments: ["three-regions", "two-regions-and-witness"], 1...3)
    func `each example is lawful`(example: String, node: Int) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let file = root.appending(path: "cluster-configs/\(example)/node-\(node).yaml").path
        let settings = try AgentSettings(file: file) {
            try? String(contentsOfFile: $0, encoding: .utf8)
        }
        #expect(settings.member.id == NodeID(UInt64(node)))
    }

    @Test func `durations need a unit and do not overflow`() {
        #expect(Interval(duration: "400ms") == .milliseconds(400))
        #expect(Interval(duration: "2m") == .seconds(120))
        #expect(Interval(duration: "7d") == .seconds(7 * 86_400))
        for text in ["", "5", "s", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615h"]
        {
            #expect(Interval(duration: text) == nil)
        }
    }

    @Test(arguments: ["a", ":1", "a:0", "a:65536", "a b:1", "::1:7", "[::1]", "a/b:1"])
    func `what is no endpoint is refused`(text: String) { #expect(Endpoint(text) == nil) }
}
