import Mesh
import Settings
import Testing

private let lawful = """
    # of all nodes
    s3:
      bucket: backups
      prefix: holdfast/site-a
      region: eu-central-1
      endpoint: https://store.example:9000
      credentials: s3.credentials
      ca: /etc/ssl/store.pem
      addressing: virtualHost
      timeout: 2m
    """

private func read(
    _ text: String = lawful, isForAgent: Bool = true
) throws -> S3Settings {
    let file = "/etc/holdfast/store.yaml"
    let settings = try StoreSettings(parsing: text, file: file, isForAgent: isForAgent)
    guard case .s3(let s3) = settings else { throw Unexpected() }
    return s3
}

private struct Unexpected: Error {}

private func faults(_ text: String, isForAgent: Bool = true) -> [String] {
    do {
        _ = try read(text, isForAgent: isForAgent)
        return []
    } catch {
        let all = (error as? Faults)?.all ?? []
        return all.map { $0.description.replacing("/etc/holdfast/store.yaml", with: "f") }
    }
}

private func faults(replacing old: String, with new: String) -> [String] {
    precondition(lawful.contains(old), "the sample no longer holds \(old)")
    return faults(lawful.replacing(old, with: new))
}

@Suite("A store file") struct StoreSettingsTests {
    @Test func `a lawful file gives its values, and paths beside it`() throws {
        let store = try read()
        #expect(store.bucket == "backups" && store.prefix == "holdfast/site-a")
        #expect(store.region == "eu-central-1" && store.addressing == .virtualHost)
        #expect("\(store.endpoint)" == "https://store.example:9000")
        #expect(store.credentials == "/etc/holdfast/s3.credentials")
        #expect(store.ca == "/etc/ssl/store.pem" && store.timeout == .seconds(120))
    }

    @Test func `little has to be said of a bucket at AWS`() throws {
        let store = try read(
            "s3: {bucket: backups, region: eu-central-1, credentials: c}")
        #expect("\(store.endpoint)" == "https://s3.eu-central-1.amazonaws.com")
        #expect(store.prefix == "" && store.addressing == .path && store.ca == nil)
        #expect(store.timeout == S3Settings.timeoutDefault)
        let china = try read("s3: {bucket: backups, region: cn-north-1, credentials: c}")
        #expect("\(china.endpoint)" == "https://s3.cn-north-1.amazonaws.com.cn")
    }

    /// The environment is whoever's who calls; an agent's is nobody's.
    @Test func `an agent needs a file of credentials, a command does not`() throws {
        let text = "s3: {bucket: backups, region: r}"
        #expect(
            faults(text) == [
                "f:1: s3.credentials: is missing; expected a file's path, of mode 0600, with the access "
                    + "key and its secret"
            ])
        #expect(try read(text, isForAgent: false).credentials == nil)
    }

    @Test(arguments: [
        ("bucket: backups", "bucket: Back/ups", "f:3: s3.bucket: expected a bucket's name"),
        ("bucket: backups", "bucket: b", "f:3: s3.bucket: expected a bucket's name"),
        ("holdfast/site-a", "/site-a", "f:4: s3.prefix: expected names with slashes"),
        ("holdfast/site-a", "a/../b", "f:4: s3.prefix: expected names with slashes"),
        ("eu-central-1", "EU Central", "f:5: s3.region: expected a region"),
        ("https://store", "ftp://store", "f:6: s3.endpoint: expected https://host"),
        (":9000", ":9000/path", "f:6: s3.endpoint: expected https://host"),
        ("https://store", "https://id:secret@store", "f:6: s3.endpoint: expected https://host"),
        ("https://store", "http://store", "f:6: s3.endpoint: http://store.example:9000 is not"),
        ("virtualHost", "host", "f:9: s3.addressing: expected path or virtualHost"),
        ("timeout: 2m", "timeout: 2", "f:10: s3.timeout: expected a duration"),
        ("timeout: 2m", "timeout: 2h", "f:10: s3.timeout: expected a duration"),
        ("  ca:", "  cas:", "f:8: s3.cas: is not a known key; did you mean ca?"),
        ("s3:", "S3:", "f:1: s3: is missing"),
    ])
    func `a fault names file, line, key, and what was expected`(
        old: String, new: String, said: String
    ) {
        let found = faults(replacing: old, with: new)
        #expect(found.contains { $0.hasPrefix(said) }, "\(found)")
    }

    @Test func `objects are locked as the file says, or not at all`() throws {
        func lock(_ words: String) throws -> S3Settings.Lock? {
            try read("s3: {bucket: backups, region: r, credentials: c\(words)}").lock
        }
        #expect(try lock("") == nil)
        let set = try #require(try lock(", lock: {mode: compliance, days: 30}"))
        #expect(set.mode == .compliance && set.days == 30)
        #expect(try lock(", lock: {mode: governance, days: 7}")?.mode == .governance)
        let several = try StoreSettings(
            parsing: """
                stores:
                  - directory: /d
                  - s3: {bucket: one, region: r, credentials: c, lock: {mode: governance, days: 9}}
                  - s3: {bucket: two, region: r, credentials: c, lock: {mode: governance, days: 8}}
                minCopies: 1
                """, file: "f", isForAgent: true)
        #expect(several.lockDays == 8)
        #expect(StoreSettings.directory("/d").lockDays == nil)
    }

    @Test(arguments: [
        ("{mode: strict, days: 30}", "s3.lock.mode: expected compliance (nobody can end it), or"),
        ("{mode: compliance, days: 6}", "s3.lock.days: expected a number of days from 7 to 36500"),
        (
            "{mode: compliance, days: 30d}",
            "s3.lock.days: expected a number of days from 7 to 36500"
        ),
        ("{mode: compliance}", "s3.lock.days: is missing"),
        ("{days: 30}", "s3.lock.mode: is missing"),
        ("{mode: compliance, days: 30, years: 1}", "s3.lock.years: is not a known key"),
        ("compliance", "s3.lock: expected a mapping"),
    ])
    func `a lock that is wrong is named, with what would be right`(words: String, said: String) {
        let found = faults("s3: {bucket: backups, region: r, credentials: c, lock: \(words)}")
        #expect(found.contains { $0.hasPrefix("f:1: \(said)") }, "\(found)")
    }

    @Test(arguments: [
        "http://127.0.0.1:8333", "http://localhost:9000/", "http://[::1]:9000", "http://127.9.9.9",
    ])
    func `in the clear only to this machine, or where it is allowed`(endpoint: String) {
        #expect(faults(replacing: "https://store.example:9000", with: endpoint) == [])
        let other = "http://127.example:80"
        #expect(faults(replacing: "https://store.example:9000", with: other).count == 1)
        #expect(
            faults(
                replacing: "endpoint: https://store.example:9000",
                with: "endpoint: \(other)\n  plainHTTP: true") == [])
        #expect(
            faults(
                replacing: "endpoint: https://store.example:9000",
                with: "endpoint: \(other)\n  plainHTTP: false"
            ).count == 1)
    }
}

@Suite("Where a node's backups go") struct BackupSettingsTests {
    private static let cluster = """
        cluster: 00000000000000000000000000000001
        members: [{id: 1, region: a, role: data, address: "a:1"}]
        primaryRegion: a
        """

    private static func settings(_ backup: String, store: String? = nil) throws(Faults)
        -> AgentSettings
    {
        try AgentSettings(file: "/e/node.yaml") { file in
            switch file {
            case "/e/node.yaml":
                "node: 1\ncluster: c.yaml\ntls: {ca: a, certificate: b, key: c}\n\(backup)"
            case "/e/c.yaml": cluster
            case "/e/store.yaml": store
            default: nil
            }
        }
    }

    private static func faults(_ backup: String, store: String? = nil) -> [String] {
        do {
            _ = try settings(backup, store: store)
            return []
        } catch { return error.all.map(\.description) }
    }

    @Test func `a directory, or what a store file says`() throws {
        let directory = try Self.settings("backup: {directory: d, key: k}")
        #expect(directory.backup?.store == .directory("/e/d") && directory.backup?.key == "/e/k")
        let text = "s3: {bucket: backups, region: r, credentials: c}"
        let store = try Self.settings("backup: {store: store.yaml, key: k}", store: text)
        guard case .s3(let s3) = store.backup?.store else {
            Issue.record("\(store)")
            return
        }
        #expect(s3.bucket == "backups" && s3.credentials == "/e/c")
        #expect(try Self.settings("").backup == nil)
    }

    @Test func `one of both, and a store file is checked with the node's`() {
        #expect(
            Self.faults("backup: {key: k}") == [
                "/e/node.yaml:4: backup.directory: is missing; expected a repository's directory, or "
                    + "store: a store file's path"
            ])
        #expect(
            Self.faults("backup: {directory: d, store: s, key: k}") == [
                "/e/node.yaml:4: backup.store: is given besides backup.directory; which of them is it?"
            ])
        #expect(
            Self.faults("backup: {directory: [], key: k}") == [
                "/e/node.yaml:4: backup.directory: expected a repository's directory"
            ])
        #expect(
            Self.faults("backup: {store: none.yaml, key: k}") == [
                "/e/none.yaml: cannot be read; check that it exists and is readable UTF-8"
            ])
        let wrong = Self.faults(
            "backup: {store: store.yaml, key: k}", store: "s3:\n  bucket: backups\n  region: r")
        #expect(
            wrong.count == 1 && wrong[0].hasPrefix("/e/store.yaml:2: s3.credentials: is missing"))
    }
}

@Suite("In which regions backups may lie") struct BackupRegionsTests {
    private static func faults(
        _ backup: String, store: String? = nil, regions: String = "[eu-central-1, eu-north-1]"
    ) -> [String] {
        do {
            _ = try AgentSettings(file: "/e/node.yaml") { file in
                switch file {
                case "/e/node.yaml":
                    "node: 1\ncluster: c.yaml\ntls: {ca: a, certificate: b, key: c}\n\(backup)"
                case "/e/c.yaml":
                    """
                    cluster: 00000000000000000000000000000001
                    members: [{id: 1, region: a, role: data, address: "a:1"}]
                    primaryRegion: a
                    backupRegions: \(regions)
                    """
                case "/e/s": store
                default: nil
                }
            }
            return []
        } catch { return error.all.map(\.description) }
    }

    private static func bucket(_ region: String) -> String {
        "{bucket: backups, region: \(region), credentials: c}"
    }
    private static let refusal =
        "and backups may lie in eu-central-1, eu-north-1 (backupRegions in /e/c.yaml) only"

    @Test func `a bucket in a region that is not allowed is a fault, and no other`() {
        let backup = "backup: {store: s, key: k}"
        #expect(Self.faults(backup, store: "s3: \(Self.bucket("eu-north-1"))") == [])
        #expect(
            Self.faults(backup, store: "s3: \(Self.bucket("us-east-1"))") == [
                "/e/s:1: s3: is in us-east-1, \(Self.refusal)"
            ])
        let several =
            "stores:\n  - s3: \(Self.bucket("eu-north-1"))\n  - s3: \(Self.bucket("us-east-1"))\nminCopies: 1"
        #expect(
            Self.faults(backup, store: several) == [
                "/e/s:3: stores[1].s3: is in us-east-1, \(Self.refusal)"
            ])
    }

    @Test func `a directory has to say where it is, where that matters`() {
        #expect(
            Self.faults("backup: {directory: d, key: k}") == [
                "/e/node.yaml: backup.directory: does not say in which region it is, \(Self.refusal)"
            ])
        #expect(Self.faults("backup: {directory: d, region: eu-north-1, key: k}") == [])
        #expect(Self.faults("backup: {directory: d, region: us-east-1, key: k}").count == 1)
        let stores =
            "stores:\n  - {directory: /a, region: eu-north-1}\n  - directory: /b\nminCopies: 1"
        #expect(
            Self.faults("backup: {store: s, key: k}", store: stores) == [
                "/e/s:3: stores[1]: does not say in which region it is, \(Self.refusal)"
            ])
    }

    @Test func `a store file may say so for commands, which read no cluster file`() throws {
        let text = "backupRegions: [eu-north-1]\ns3: \(Self.bucket("eu-central-1"))"
        #expect(throws: Faults.self) {
            try StoreSettings(parsing: text, file: "f", isForAgent: false)
        }
        #expect(
            Self.faults("backup: {store: s, key: k}", store: text) == [
                "/e/s:2: s3: is in eu-central-1, and backups may lie in eu-north-1 (backupRegions in /e/s) only"
            ])
    }

    @Test(arguments: ["[]", "eu-central-1", "[EU]", "[eu-north-1, {}]"])
    func `a list that is none is a fault`(regions: String) {
        let found = Self.faults("", regions: regions)
        #expect(found.count == 1 && found[0].hasPrefix("/e/c.yaml:4: backupRegions"), "\(found)")
    }
}

private let several = """
    stores:
      - directory: backups
      - s3:
          bucket: backups
          region: eu-central-1
          credentials: s3.credentials
    minCopies: 1
    """

@Suite("A store file of several stores") struct SeveralStoresTests {
    private func faults(replacing old: String, with new: String) -> [String] {
        precondition(several.contains(old), "the sample no longer holds \(old)")
        do {
            _ = try StoreSettings(
                parsing: several.replacing(old, with: new), file: "/e/f", isForAgent: true)
            return []
        } catch { return error.all.map(\.description) }
    }

    @Test func `it gives them in their order, and paths beside it`() throws {
        let settings = try StoreSettings(parsing: several, file: "/e/f", isForAgent: true)
        guard case .several(let stores, 1) = settings else {
            Issue.record("\(settings)")
            return
        }
        #expect(stores.first == .directory("/e/backups"))
        guard case .s3(let s3) = stores.last else {
            Issue.record("\(stores)")
            return
        }
        #expect(s3.credentials == "/e/s3.credentials")
    }

    @Test func `whatever is wrong is named by its line`() {
        #expect(
            faults(replacing: "minCopies: 1", with: "") == [
                "/e/f:1: minCopies: is missing; expected in how many of the stores a backup has to be before it counts (1 to 2)"
            ])
        #expect(
            faults(replacing: "minCopies: 1", with: "minCopies: 3") == [
                "/e/f:7: minCopies: expected in how many of the stores a backup has to be before it counts (1 to 2), found \"3\""
            ])
        #expect(
            faults(replacing: "      bucket: backups\n", with: "") == [
                "/e/f:4: stores[1].s3.bucket: is missing; expected a bucket's name (3 to 63 of a-z 0-9 - .)"
            ])
        #expect(
            faults(replacing: "directory: backups", with: "folder: backups") == [
                "/e/f:2: stores[0]: expected directory: PATH, or s3: {…}",
                "/e/f:2: stores[0].folder: is not a known key",
            ])
        #expect(
            faults(replacing: "stores:", with: "s3: {}\nstores:") == [
                "/e/f:2: stores: is given besides s3; put that into it",
                "/e/f:8: minCopies: is not a known key",
            ])
    }

    @Test func `one store, or the same twice, is not several`() {
        let text = "stores:\n  - directory: a\nminCopies: 1"
        let twice = "stores:\n  - directory: a\n  - directory: a\nminCopies: 1"
        func faults(_ text: String) -> [String] {
            do {
                _ = try StoreSettings(parsing: text, file: "f", isForAgent: true)
                return []
            } catch { return error.all.map(\.description) }
        }
        #expect(faults(text).contains { $0.contains("expected 2 to 8 stores") })
        #expect(faults(twice).contains { $0.contains("is the same store as another one") })
    }
}
