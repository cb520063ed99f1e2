import Foundation
import Testing

@testable import Holdfast

@Suite("Holds and prunes from the command line", .timeLimit(.minutes(2)))
struct PruneTests {
    /// A repository without a backup.
    private struct Place {
        let path: String
        let from: [String]

        init() async throws {
            path = try Program.freshDirectory()
            try FileManager.default.createDirectory(
                atPath: path + "/store", withIntermediateDirectories: true)
            let made = try await Program.run([
                "repository", "create", path + "/store", "--key", path + "/key", "--spare-key",
                path + "/spare",
            ])
            #expect(made.code == 0)
            from = ["--repository", path + "/store", "--key", path + "/key"]
        }

        func ask(_ words: String...) async throws -> Program.Said {
            try await Program.run(["backup"] + words + from)
        }

        func remove() throws { try FileManager.default.removeItem(atPath: path) }
    }

    @Test func `where nothing is, nothing goes`() async throws {
        let place = try await Place()
        let dry = try await place.ask("prune", "--dry-run")
        #expect(dry.code == 0)
        #expect(
            dry.output == "there are no backups\nwould delete: 0 backups, 0 packs, 0 B\n")
        let pruned = try await place.ask("prune")
        #expect(pruned.code == 0 && pruned.output == "nothing can go\n")
        let json = try await place.ask("prune", "--dry-run", "-o", "json")
        #expect(json.output.contains(#""dryRun" : true"#))
        #expect(json.output.contains(#""waitsFor" : ["#))
        try place.remove()
    }

    @Test func `what can't be is refused, and says what to do`() async throws {
        let place = try await Place()
        let hold = try await place.ask("hold", "3", "--reason", "case 7")
        #expect(hold.code == 1 && hold.errors.contains("there is no backup 3"))
        let release = try await place.ask("release", "3", "--yes")
        #expect(release.code == 1 && release.errors.contains("backup 3 is not held"))
        let end = try await place.ask("end-session", "3", "--reason", "gone", "--yes")
        #expect(end.code == 1 && end.errors.contains("there is no open session 3"))
        let asked = try await place.ask("end-session", "3", "--reason", "gone")
        #expect(asked.code == 2 && asked.errors.contains("Give --yes"))
        let rules = try await place.ask("prune", "--keep-newest", "0")
        #expect(rules.code == 2 && rules.errors.contains("Keep 1 to 10000 of the newest"))
        #expect(try await place.ask("prune", "--keep-yearly", "200").code == 2)
        try place.remove()
    }
}
