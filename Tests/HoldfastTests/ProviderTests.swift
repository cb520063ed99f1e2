import Foundation
import Testing

@testable import Holdfast

@Suite("Keys that a command keeps, from the command line", .timeLimit(.minutes(2)))
struct ProviderTests {
    private struct Place {
        let path: String
        var store: String { path + "/store" }
        var provider: String { path + "/provider.yaml" }

        /// The tool's key is a byte that is added; with `broken` beside it, it does nothing.
        init() throws {
            path = try Program.freshDirectory()
            try FileManager.default.createDirectory(
                atPath: path + "/store", withIntermediateDirectories: true)
            let tool = """
                [ -e "${0%/*}/broken" ] && { echo 'the HSM is away' >&2; exit 1; }
                case $1 in wrap) from='\\000-\\377'; to='\\007-\\377\\000-\\006' ;;
                unwrap) from='\\007-\\377\\000-\\006'; to='\\000-\\377' ;; esac
                LC_ALL=C exec tr "$from" "$to"
                """
            // Read by a shell, not run itself: Linux runs nothing that a child of another test's may still hold open.
            try write("tool", tool, 0o600)
            try write("provider.yaml", "command: [/bin/sh, \(path)/tool]\n", 0o600)
        }

        func write(_ name: String, _ text: String, _ mode: Int) throws {
            let path = path + "/" + name
            try Data(text.utf8).write(to: URL(filePath: path))
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        }

        func run(_ deed: String, _ words: String...) async throws -> Program.Said {
            try await Program.run(["repository", deed, store] + words)
        }
        func remove() throws { try FileManager.default.removeItem(atPath: path) }
    }

    @Test func `a repository is made for a command, and opened and rotated by it`() async throws {
        let place = try Place()
        let spare = place.path + "/spare"
        let made = try await place.run("create", "--key", place.provider, "--spare-key", spare)
        #expect(made.code == 0 && made.output.contains("add to \(place.provider): repository: "))
        let text = made.output.firstMatch(of: /repository: ([0-9a-f]+), and tenant: ([0-9a-f]+)/)
        let ids = try #require(text)
        let shown = try await place.run("show", "--key", place.provider)
        #expect(shown.code == 0 && shown.output.contains("\"key\"    command"))
        try place.write(
            "provider.yaml",
            "repository: \(ids.1)\ntenant: \(ids.2)\ncommand: [/bin/sh, \(place.path)/tool]\n",
            0o600)
        let keys = ["--key", place.provider, "--spare-key", spare]
        let rotated = try await Program.run(["repository", "rotate", place.store] + keys)
        #expect(rotated.code == 0 && rotated.output.contains("in ring 2"))
        let alone = try await place.run("rotate", "--key", spare)
        #expect(alone.code == 1 && alone.errors.contains("command \"key\" would open nothing"))
        // The region with the HSM is the one that fails.
        try place.write("broken", "", 0o600)
        let broken = try await place.run("show", "--key", place.provider)
        #expect(broken.code == 1 && broken.errors.contains("ended with code 1: the HSM is away"))
        #expect(try await place.run("show", "--key", spare).output.contains("ring 2, digest "))
        try place.remove()
    }

    @Test func `a provider file that others could have written is refused`() async throws {
        let place = try Place()
        let spare = place.path + "/spare"
        for (text, mode, why) in [
            ("command: [/bin/sh, \(place.path)/tool]\n", 0o660, "chmod 600"),
            ("command: [tool]\n", 0o600, "provider.yaml:1: command[0]: expected a list of"),
        ] {
            try place.write("provider.yaml", text, mode)
            let said = try await place.run(
                "create", "--key", place.provider, "--spare-key", spare)
            #expect(said.code == 1 && said.errors.contains(why), "\(said.errors)")
        }
        let stored = try FileManager.default.contentsOfDirectory(atPath: place.store)
        #expect(
            stored.allSatisfy { $0.hasPrefix(".") }
                && !FileManager.default.fileExists(atPath: spare))
        try place.remove()
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give a file away"))
    func `a command that another user wrote down is not run`() async throws {
        let place = try Place()
        let spare = place.path + "/spare"
        try FileManager.default.setAttributes(
            [.ownerAccountID: 12_345], ofItemAtPath: place.provider)
        let said = try await place.run("create", "--key", place.provider, "--spare-key", spare)
        #expect(said.code == 1 && said.errors.contains("belongs to user 12345"))
        try place.remove()
    }
}
