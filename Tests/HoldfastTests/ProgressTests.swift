import Foundation
import Mesh
import Pacing
import Testing

@testable import Holdfast

@Suite("What is told of long work") struct ProgressTests {
    private static func reading(
        done: UInt64 = 300 << 20, of total: UInt64? = 1 << 30, rate: UInt64? = 10 << 20,
        idle: UInt64 = 0, unit: Work.Unit = .bytes
    ) -> ProgressMeter.Reading {
        ProgressMeter.Reading(
            phase: "restoring", unit: unit, done: done, total: total, rate: rate,
            idle: .seconds(idle))
    }

    private static func line(_ reading: ProgressMeter.Reading) -> String {
        ProgressWords.line(reading, of: "backup 12")
    }

    @Test func `a line says what is done, of how much, how fast and how much longer`() {
        #expect(
            Self.line(Self.reading())
                == "restoring backup 12: 300 MiB of 1 GiB, 29 %, 10 MiB/s, about 1 min left")
    }

    @Test func `what is not known is left out`() {
        #expect(Self.line(Self.reading(done: 0, of: nil, rate: nil)) == "restoring backup 12")
        #expect(
            Self.line(Self.reading(of: nil)) == "restoring backup 12: 300 MiB, 10 MiB/s")
        #expect(
            Self.line(Self.reading(rate: nil))
                == "restoring backup 12: 300 MiB of 1 GiB, 29 %")
    }

    @Test func `work that stands still says so, and promises nothing`() {
        #expect(
            Self.line(Self.reading(rate: 0, idle: 74))
                == "restoring backup 12: 300 MiB of 1 GiB, 29 %, nothing came for 1m 14s")
        // What is all done waits for the end, and not for more.
        #expect(
            Self.line(Self.reading(done: 1 << 30, rate: 0, idle: 74))
                == "restoring backup 12: 1 GiB of 1 GiB, 100 %")
    }

    @Test func `objects are counted as such`() {
        let reading = Self.reading(done: 30, of: 900, rate: 2, unit: .objects)
        #expect(
            ProgressWords.line(reading) == "restoring: 30 of 900, 3 %, 2/s, about 7 min left")
    }

    @Test(
        arguments: [
            (1, "about 5 s left"), (11, "about 15 s left"), (57, "about 60 s left"),
            (58, "about 1 min left"), (89, "about 1 min left"), (90, "about 2 min left"),
            (5_399, "about 90 min left"), (5_400, "about 1 h 30 min left"),
            (7_790, "about 2 h 10 min left"), (172_799, "about 48 h 0 min left"),
            (172_800, "about 2 days left"), (1_000_000, "about 12 days left"),
        ] as [(UInt64, String)])
    func `a time left is told no more exactly than it is known`(seconds: UInt64, words: String) {
        #expect(ProgressWords.left(.seconds(seconds)) == words)
    }

    private func fields(_ reading: ProgressMeter.Reading) throws -> [String: JSONValue] {
        let text = ProgressReport(
            state: .running, reading: reading, stored: nil, elapsed: .milliseconds(30_900)
        ).text
        #expect(text.hasSuffix("}\n") && text.count { $0.isNewline } == 1)
        return try JSONDecoder().decode([String: JSONValue].self, from: Data(text.utf8))
    }

    /// Programs count on these names: docs/operations.md.
    @Test func `a program is told all fields, and null of what is not known`() throws {
        #expect(
            try fields(Self.reading()) == [
                "state": .text("running"), "phase": .text("restoring"), "unit": .text("bytes"),
                "done": .signed(300 << 20), "total": .signed(1 << 30), "percent": .signed(29),
                "rate": .signed(10 << 20), "left_s": .signed(73), "stored": .null,
                "idle_s": .signed(0), "elapsed_s": .signed(30),
            ])
        let unknown = try fields(Self.reading(of: nil, rate: nil, idle: 3))
        for field in ["total", "percent", "rate", "left_s"] {
            #expect(unknown[field] == .null, "\(field)")
        }
        #expect(unknown["idle_s"] == .signed(3))
    }

    @Test func `a scrub tells a program its end, and a pipe nothing`() async throws {
        let path = try Program.freshDirectory()
        let (store, key) = (path + "/store", path + "/key")
        try FileManager.default.createDirectory(
            atPath: store, withIntermediateDirectories: true)
        let made = try await Program.run([
            "repository", "create", store, "--key", key, "--spare-key", key + "-2",
        ])
        #expect(made.code == 0, "\(made.errors)")
        let scrub = ["repository", "scrub", store]
        let quiet = try await Program.run(scrub)
        #expect(quiet.code == 0 && quiet.errors == "")
        let none = try await Program.run(scrub + ["--progress", "none"])
        #expect(none.code == 0 && none.errors == "")
        let told = try await Program.run(scrub + ["--progress", "json"])
        let last = try #require(told.errors.split(separator: "\n").last)
        let fields = try JSONDecoder().decode([String: JSONValue].self, from: Data(last.utf8))
        #expect(told.code == 0 && told.output == quiet.output)
        #expect(fields["state"] == .text("ended") && fields["phase"] == .text("scrubbing"))
        #expect(fields["done"] == fields["total"] && fields["percent"] == .signed(100))
        try FileManager.default.removeItem(atPath: path)
    }

    /// The word behind the last object is the command's own.
    @Test func `what fails has ended too, before it says why`() async throws {
        let path = try Program.freshDirectory()
        let said = try await Program.run(["repository", "scrub", path, "--progress", "json"])
        let lines = said.errors.split(separator: "\n")
        #expect(said.code == 1)
        #expect(lines.first?.contains("\"state\":\"ended\"") == true, "\(said.errors)")
        #expect(lines.dropFirst().first?.hasPrefix("holdfast: ") == true, "\(said.errors)")
        try FileManager.default.removeItem(atPath: path)
    }

    @Test(arguments: ["1K", "0", "127K", "-5M", "fast"])
    func `a rate at which nothing ends is refused`(rate: String) async throws {
        let said = try await Program.run(["repository", "scrub", "/nowhere", "--rate", rate])
        #expect(said.code == 2 && said.errors.contains("rate"), "\(said.errors)")
    }
}
