import Foundation
import Testing

@testable import Holdfast

@Suite("A repository from the command line", .timeLimit(.minutes(2)))
struct RepositoryTests {
    /// `DIR/store` is there, `DIR/key`, `DIR/spare` and `DIR/words` are names for keys.
    private struct Place {
        let path: String
        let store: String
        let key: String
        let spare: String
        let words: String

        init() throws {
            path = try Program.freshDirectory()
            (store, key) = (path + "/store", path + "/key")
            (spare, words) = (path + "/spare", path + "/words")
            try FileManager.default.createDirectory(
                atPath: store, withIntermediateDirectories: true)
            try Data("correct horse\n".utf8).write(to: URL(filePath: words))
            try setMode(words, 0o600)
        }

        func setMode(_ path: String, _ mode: Int) throws {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        }

        func run(_ deed: String, _ second: [String] = [], _ rest: [String] = []) async throws
            -> Program.Said
        { try await Program.run(["repository", deed, store, "--key", key] + second + rest) }

        func has(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
        func remove() throws { try FileManager.default.removeItem(atPath: path) }
    }

    @Test func `a repository is made with two keys, and either shows it`() async throws {
        let place = try Place()
        let made = try await place.run("create", ["--spare-key", place.spare])
        #expect(made.code == 0 && made.errors == "")
        #expect(
            made.output.hasSuffix("backup: {directory: \(place.store), key: \(place.key)}\n"))
        #expect(made.output.contains("keep \(place.spare) elsewhere: without one of these nothing"))
        for path in [place.key, place.spare] {
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
            #expect(mode as? Int == 0o600)
            let shown = try await Program.run(["repository", "show", place.store, "--key", path])
            #expect(shown.code == 0 && shown.output.contains("ring 1, digest "))
            #expect(shown.output.contains("\"spare\"  key file"))
        }
        try place.remove()
    }

    @Test func `another tenant is added with keys of its own, and goes without the first`()
        async throws
    {
        let place = try Place()
        let (key, spare) = (place.key + "-2", place.spare + "-2")
        let adding = [
            "repository", "create", place.store, "--key", key, "--spare-key", spare, "--add-tenant",
        ]
        let early = try await Program.run(adding)
        #expect(
            early.code == 1 && early.errors.contains("no tenant is added to what is no repository"))
        #expect(!place.has(key))
        #expect(try await place.run("create", ["--spare-key", place.spare]).code == 0)
        let added = try await Program.run(adding)
        #expect(added.code == 0 && added.output.contains("added tenant "))
        var shown: [String] = []
        for key in [place.key, key] {
            shown.append(
                try await Program.run(["repository", "show", place.store, "--key", key]).output)
        }
        #expect(shown.allSatisfy { $0.contains("ring 1, digest ") } && shown[0] != shown[1])
        let again = try await Program.run(adding)
        #expect(again.code == 1 && again.errors.contains(key))
        let record = place.path + "/record"
        let erased = try await Program.run([
            "repository", "erase-tenant", place.store, "--key", key, "--by", "ann", "--reason",
            "case 7",
            "--record", record, "--yes",
        ])
        #expect(erased.code == 0)
        #expect(
            try await Program.run(["repository", "show", place.store, "--key", spare]).code == 1)
        let left = try await Program.run(["repository", "show", place.store, "--key", place.spare])
        #expect(left.output == shown[0])
        try place.remove()
    }

    @Test func `a repository without backups says so, and gives nothing back`() async throws {
        let place = try Place()
        #expect(try await place.run("create", ["--spare-key", place.spare]).code == 0)
        let from = ["--repository", place.store, "--key", place.spare]
        #expect(
            try await Program.run(["backup", "list"] + from).output == "there are no backups\n")
        let listed = try await Program.run(["backup", "list", "-o", "json"] + from)
        #expect(listed.code == 0 && listed.output.contains(#""backups" : ["#))
        for words in [["backup", "show"], ["backup", "verify"], ["restore", "--to", place.path]] {
            let said = try await Program.run(words + from)
            #expect(said.code == 1 && said.errors.contains("holds no backup of this tenant yet"))
        }
        let said = try await Program.run(["backup", "show", "3"] + from)
        #expect(said.code == 1 && said.errors.contains("there is no backup 3: there is none"))
        let absent = try await Program.run(
            ["backup", "list", "--repository", place.path + "/none", "--key", place.key])
        #expect(absent.code == 1 && absent.errors.contains("is to be made, or mounted"))
        try place.remove()
    }

    @Test func `a rotation adds an epoch, and needs both keys`() async throws {
        let place = try Place()
        let second = ["--passphrase-file", place.words]
        #expect(try await place.run("create", second).code == 0)
        #expect(try await place.run("rotate", second).output.contains("key epoch 2, in ring 2"))
        let shown = try await place.run("show", [], ["-o", "json"])
        let value = try JSONDecoder().decode(
            [String: JSONValue].self, from: Data(shown.output.utf8))
        #expect(value["ring"] == .signed(2))
        #expect(
            value["keys"]
                == .list([
                    .map(["kind": .text("key file"), "name": .text("key")]),
                    .map(["kind": .text("passphrase"), "name": .text("passphrase")]),
                ]))
        guard case .list(let epochs) = value["epochs"] else { throw CancellationError() }
        #expect(epochs.count == 2)
        try Data("wrong horse\n".utf8).write(to: URL(filePath: place.words))
        try place.setMode(place.words, 0o600)
        let wrong = try await place.run("rotate", second)
        #expect(wrong.code == 1 && wrong.errors.contains("would open nothing any more"))
        #expect(!wrong.errors.contains("horse"))
        #expect(try await place.run("show").output.contains("ring 2, digest "))
        try place.remove()
    }

    @Test func `nothing is made where a repository is, or where none can be`() async throws {
        let place = try Place()
        let second = ["--spare-key", place.spare]
        for arguments in [
            ["create", place.path + "/none", "--key", place.key],
            ["create", place.store, "--key", place.store + "/key"],
            ["create", place.store, "--key", place.path + "/none/key"],
        ] {
            let said = try await Program.run(["repository"] + arguments + second)
            #expect(said.code == 1 && said.output == "" && said.errors.contains("\n  "))
            #expect(!place.has(place.key) && !place.has(place.spare))
        }
        #expect(try await place.run("create", second).code == 0)
        let (key, spare) = (place.path + "/key2", ["--spare-key", place.path + "/spare2"])
        let again = ["repository", "create", place.store, "--key", key] + spare
        let twice = try await Program.run(again)
        #expect(twice.code == 1 && twice.errors.contains("is a repository already"))
        try FileManager.default.removeItem(atPath: place.store + "/repository")
        let tagless = try await Program.run(again)
        #expect(tagless.code == 1 && tagless.errors.contains("holds 1 object of a repository"))
        #expect(!place.has(key))
        try place.remove()
    }

    @Test func `what is left over of a repository that was not made is named`() async throws {
        let place = try Place()
        try Data("another key".utf8).write(to: URL(filePath: place.spare))
        let taken = try await place.run("create", ["--spare-key", place.spare])
        #expect(taken.code == 1 && taken.errors.contains("\(place.spare) is there already"))
        #expect(taken.errors.contains("delete \(place.key), and try again"))
        #expect(
            try String(contentsOfFile: place.spare, encoding: .utf8) == "another key")
        let stored = try FileManager.default.contentsOfDirectory(atPath: place.store)
        #expect(stored.filter { !$0.hasPrefix(".") } == [], "no object has such a name")
        try place.remove()
    }

    @Test func `keys that others may read, that are damaged or another's are refused`()
        async throws
    {
        let (place, other) = (try Place(), try Place())
        for place in [place, other] {
            #expect(try await place.run("create", ["--spare-key", place.spare]).code == 0)
        }
        try place.setMode(place.key, 0o640)
        let open = try await place.run("show")
        #expect(open.code == 1 && open.errors.hasSuffix("chmod 600 \(place.key)\n"))
        try place.setMode(place.key, 0o600)
        let foreign = try await Program.run(
            ["repository", "show", place.store, "--key", other.key])
        #expect(foreign.code == 1 && foreign.errors.contains("it belongs to repository"))
        let mixed = try await place.run("rotate", ["--spare-key", other.spare])
        #expect(mixed.code == 1 && mixed.errors.contains("\(other.spare) is a key of tenant"))
        let alone = try await place.run("rotate")
        #expect(alone.code == 1 && alone.errors.contains("key file \"spare\" would open nothing"))
        let same = try await place.run("rotate", ["--spare-key", place.key])
        #expect(same.code == 1 && same.errors.contains("key file \"spare\" would open nothing"))
        let text = try String(contentsOfFile: place.key, encoding: .utf8)
        let secret = try #require(text.firstMatch(of: /secret ([0-9a-f]+)/)?.1)
        try Data(text.replacing(secret, with: secret.dropLast() + "x").utf8)
            .write(to: URL(filePath: place.key))
        try place.setMode(place.key, 0o600)
        let damaged = try await place.run("show")
        #expect(damaged.code == 1 && damaged.errors.contains("its line `secret` is malformed"))
        #expect(!damaged.errors.contains(secret.prefix(8)))
        for place in [place, other] { try place.remove() }
    }

    @Test func `a repository with one key is refused before anything is made`() async throws {
        let place = try Place()
        let said = try await place.run("create")
        #expect(said.code == 2 && said.errors.contains("one key alone is lost at once"))
        #expect(!place.has(place.key))
        try place.remove()
    }

    /// Nothing of it asks a service: each of these is told before.
    @Test func `a store file that is wrong is told by line, and its secret by nobody`() async throws
    {
        let place = try Place()
        #expect(try await place.run("create", ["--spare-key", place.spare]).code == 0)
        let store = place.path + "/store.yaml"
        func listed(_ path: String, _ text: String? = nil) async throws -> Program.Said {
            if let text { try Data(text.utf8).write(to: URL(filePath: path)) }
            return try await Program.run([
                "backup", "list", "--repository", path, "--key", place.key,
            ])
        }
        let wrong = try await listed(store, "s3:\n  bucket: b\n  region: r\n")
        #expect(
            wrong.code == 1 && wrong.errors.contains("\(store):2: s3.bucket: expected a bucket"))
        let lawful =
            "s3: {bucket: backups, region: r, endpoint: 'http://127.0.0.1:1', credentials: c}"
        #expect(try await listed(store, lawful).errors.contains("\(place.path)/c: No such file"))
        let secret = place.path + "/c"
        try Data("[default]\naws_access_key_id = a\naws_secret_access_key = s3cret".utf8)
            .write(to: URL(filePath: secret))
        try place.setMode(secret, 0o640)
        let open = try await listed(store)
        #expect(open.code == 1 && open.errors.contains("chmod 600 \(secret)"))
        try Data("[default]\naws_secret_access_key = s3cret".utf8).write(to: URL(filePath: secret))
        try place.setMode(secret, 0o600)
        let lacks = try await listed(store)
        #expect(lacks.code == 1 && lacks.errors.contains("\(secret) lacks aws_access_key_id"))
        let scheme = try await listed("s3://backups/site")
        #expect(scheme.code == 1 && scheme.errors.contains("Name the bucket in a store file"))
        #expect(![open, lacks].contains { ($0.errors + $0.output).contains("s3cret") })
        let ca = try await listed(
            store,
            "s3: {bucket: backups, region: r, credentials: c, ca: store.yaml}".replacing(
                "c,", with: "c2,"))
        #expect(ca.errors.contains("\(store) can't be read as certificates"))
        try place.remove()
    }

    @Test func `a path is written into the node's file as one word`() {
        func line(_ path: String) -> String? {
            RepositoryCommand.Create.Made(
                repository: "1", tenant: "2", place: path, isStoreFile: false, key: "/k",
                spareKey: nil
            ).lines.last?.text
        }
        #expect(line("/a/b-1.c_d") == "backup: {directory: /a/b-1.c_d, key: /k}")
        #expect(line("/a, b'c") == "backup: {directory: '/a, b''c', key: /k}")
    }
}
