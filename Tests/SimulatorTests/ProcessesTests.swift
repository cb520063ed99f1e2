import Foundation
import Testing

@Suite struct `Two processes` {
    /// What the command says of a run: its story and, at its end, its digest.
    private func told(_ seed: Int) async throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let directory = FileManager.default.temporaryDirectory
            .appending(path: "holdfast-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let output = directory.appending(path: "output")
        try Data().write(to: output)
        let process = Process()
        process.executableURL = URL(filePath: own).deletingLastPathComponent()
            .appending(path: "simulate")
        process.arguments = ["--seeds", "1", "--seed", "\(seed)", "--story"]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        let status = try await withCheckedThrowingContinuation { waiting in
            process.terminationHandler = { waiting.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { waiting.resume(throwing: error) }
        }
        #expect(status == 0)
        let lines = try String(contentsOf: output, encoding: .utf8).split(separator: "\n")
        // The others say how fast it was.
        return lines.filter { $0.hasPrefix("seed ") || $0.hasPrefix("  ") }
            .joined(separator: "\n")
    }

    /// Hashes are seeded anew in each process, so that one process alone always sees one order of
    /// sets and dictionaries.
    @Test(arguments: [2, 3, 5])
    func `one seed has one history in both (nasty case 78)`(seed: Int) async throws {
        let (first, second) = (try await told(seed), try await told(seed))
        #expect(first.contains("digest "))
        #expect(first == second)
    }
}
