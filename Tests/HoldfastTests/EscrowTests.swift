import Foundation
import Testing

@testable import Holdfast

@Suite("Escrow keys from the command line", .timeLimit(.minutes(2)))
struct EscrowTests {
    private struct Place {
        let path: String
        var store: String { path + "/store" }
        var key: String { path + "/key" }
        var escrow: String { path + "/escrow" }

        init() throws {
            path = try Program.freshDirectory()
            try FileManager.default.createDirectory(
                atPath: path + "/store", withIntermediateDirectories: true)
        }

        func run(_ words: String...) async throws -> Program.Said {
            try await Program.run(["repository"] + words)
        }
        func remove() throws { try FileManager.default.removeItem(atPath: path) }
    }

    @Test func `what was made for an escrow key is opened by its private half alone`() async throws
    {
        let place = try Place()
        let made = try await place.run("keygen", "--escrow", place.escrow)
        #expect(made.code == 0 && made.output.contains("made \(place.escrow) and"))
        let secret = try String(contentsOfFile: place.escrow, encoding: .utf8)
            .firstMatch(of: /secret ([0-9a-f]+)/)?.1
        #expect(try !made.output.contains(#require(secret)))
        let created = try await place.run(
            "create", place.store, "--key", place.key, "--escrow-public", place.escrow + ".pub")
        #expect(created.code == 0)
        #expect(created.output.contains("keep the private half of \(place.escrow).pub elsewhere"))
        // The agents' key is lost with all agents.
        try FileManager.default.removeItem(atPath: place.key)
        let shown = try await place.run("show", place.store, "--key", place.escrow)
        #expect(shown.code == 0 && shown.output.contains("\"escrow\"  X25519 box"))
        let from = ["--repository", place.store, "--key", place.escrow]
        let listed = try await Program.run(["backup", "list"] + from)
        #expect(listed.code == 0 && listed.output == "there are no backups\n")
        let half = try await place.run("show", place.store, "--key", place.escrow + ".pub")
        #expect(half.code == 1 && half.errors.contains("chmod 600"))
        try place.remove()
    }

    @Test func `after a theft the key is another one, and the next backup a full one`() async throws
    {
        let place = try Place()
        let (spare, new) = (place.path + "/spare", place.path + "/new")
        let made = try await place.run(
            "create", place.store, "--key", place.key, "--spare-key", spare)
        #expect(made.code == 0)
        let rotated = try await place.run(
            "rotate", place.store, "--key", place.key, "--spare-key", spare, "--replace-key", new,
            "--renew-ids")
        #expect(rotated.code == 0 && rotated.output.contains("the next backup is a full one"))
        #expect(rotated.output.contains("put \(new) on each agent, in the place of \(place.key)"))
        let stolen = try await place.run("show", place.store, "--key", place.key)
        #expect(stolen.code == 1 && stolen.errors.contains("wrong key"))
        let shown = try await place.run("show", place.store, "--key", new)
        let digest = try #require(shown.output.firstMatch(of: /ring 2, digest ([0-9a-f]+)/)?.1)
        #expect(rotated.output.contains(digest) && shown.output.contains("\"key\"    key file"))
        try place.remove()
    }

    @Test func `a rotation needs no private half, and can change who opens`() async throws {
        let place = try Place()
        for name in ["a", "b"] {
            #expect(try await place.run("keygen", "--escrow", place.path + "/\(name)").code == 0)
        }
        let key = ["--key", place.key]
        let made = try await Program.run(
            ["repository", "create", place.store] + key
                + ["--escrow-public", place.path + "/a.pub"])
        #expect(made.code == 0)
        let rotate = ["repository", "rotate", place.store] + key
        let rotated = try await Program.run(rotate)
        #expect(rotated.code == 0 && rotated.output.contains("key epoch 2, in ring 2"))
        let more = ["--escrow-public", place.path + "/b.pub"]
        #expect(try await Program.run(rotate + more).code == 0)
        let both = try await place.run("show", place.store, "--key", place.path + "/b")
        #expect(both.output.contains("\"escrow-2\"  X25519 box"))
        #expect(try await Program.run(rotate + ["--drop", "escrow"]).code == 0)
        let dropped = try await place.run("show", place.store, "--key", place.path + "/a")
        #expect(dropped.code == 1 && dropped.errors.contains("wrong key"))
        let twice = try await Program.run(rotate + more)
        #expect(twice.code == 1 && twice.errors.contains("two of the keys are the same one"))
        try place.remove()
    }
}
