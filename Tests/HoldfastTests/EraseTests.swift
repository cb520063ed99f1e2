import Foundation
import Testing

@testable import Holdfast

@Suite("Erasing a tenant from the command line", .timeLimit(.minutes(2)))
struct EraseTests {
    @Test func `an erased tenant is read by nobody, and its record is checked without a key`()
        async throws
    {
        let path = try Program.freshDirectory()
        let (store, key, record) = (path + "/store", path + "/key", path + "/record")
        try FileManager.default.createDirectory(atPath: store, withIntermediateDirectories: true)
        func run(_ words: String...) async throws -> Program.Said {
            try await Program.run(["repository"] + words)
        }
        #expect(
            try await run("create", store, "--key", key, "--spare-key", path + "/spare").code == 0)
        let shown = try await run("show", store, "--key", key)
        let erasureKey = String(
            try #require(shown.output.firstMatch(of: /erasure key ([0-9a-f]+)/)?.1))
        let erase = [
            "repository", "erase-tenant", store, "--key", key, "--by", "ann", "--reason", "case 7",
            "--record", record,
        ]
        let asked = try await Program.run(erase)
        #expect(asked.code == 2 && asked.errors.contains("needs a confirmation"))
        #expect(try await run("show", store, "--key", key).code == 0)
        let erased = try await Program.run(erase + ["--yes"])
        #expect(erased.code == 0 && erased.output.contains("1 key ring and"))
        let gone = try await run("show", store, "--key", key)
        #expect(gone.code == 1 && gone.errors.contains("or was the tenant erased?"))
        let checked = try await run("check-erasure", record, "--erasure-key", erasureKey)
        #expect(checked.code == 0 && checked.output.contains("signed: ann erased tenant"))
        #expect(checked.output.contains("because: case 7"))
        let text = try String(contentsOfFile: record, encoding: .utf8)
        try Data(text.replacing("case 7", with: "case 8").utf8).write(to: URL(filePath: record))
        let forged = try await run("check-erasure", record, "--erasure-key", erasureKey)
        #expect(forged.code == 1 && forged.errors.contains("it is not as it was signed"))
        try FileManager.default.removeItem(atPath: path)
    }
}
