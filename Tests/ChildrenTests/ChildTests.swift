import Children
import Foundation
import Mesh
import Testing

@Suite("Programs that are run to their end") struct ChildTests {
    /// Where a child is waited for, nobody else is held up.
    private func run(
        _ script: String, _ input: Child.Input = .bytes([]), within limit: Interval = .seconds(30),
        excess: Child.Excess = .ends
    ) async throws -> Child {
        try await withCheckedThrowingContinuation { waiting in
            DispatchQueue.global().async {
                waiting.resume(
                    with: Result {
                        try Child(
                            ["/bin/sh", "-c", script], input: input, within: limit, excess: excess)
                    })
            }
        }
    }

    @Test func `an open file is its standard input, by its path too`() async throws {
        let path = "/tmp/hfc-\(UUID().uuidString.prefix(8))"
        try Data("twelve bytes".utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = try FileHandle(forReadingFrom: URL(filePath: path))
        let child = try await run("cat; cat /dev/stdin", .file(file.fileDescriptor))
        #expect(child.outcome == .exited(0))
        #expect(String(decoding: child.said, as: UTF8.self) == "twelve bytestwelve bytes")
    }

    @Test func `one that says much is ended, or read on, as was asked`() async throws {
        let words = "yes 12345678 | head -c 100000; exit 5"
        #expect(try await run(words).outcome == .tooMuch)
        let child = try await run(words, excess: .isForgotten)
        #expect(child.outcome == .exited(5))
        #expect(
            child.said.count == Child.saidByteCountMax
                && child.said.starts(with: Array("12345678".utf8)))
    }

    @Test func `one that does not end is ended, with all that it started`() async throws {
        let mark = "7\(UInt32.random(in: 1_000_000...9_999_999))"
        let child = try await run("sleep \(mark) & sleep \(mark)", within: .milliseconds(300))
        #expect(child.outcome == .tooLate)
        let left = try await run(
            "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep \(mark)' ; true")
        // The one that looks has the word in its own line.
        #expect(String(decoding: left.said, as: UTF8.self).hasPrefix("1"))
    }

    @Test func `nothing of ours is in its environment or among its files`() async throws {
        let child = try await run(
            "env | sort | grep -v ^PWD= | grep -v ^_=; ls /proc/self/fd | wc -l; pwd")
        let said = String(decoding: child.said, as: UTF8.self).split(separator: "\n").map(
            String.init)
        // The three, and the folder that is listed.
        #expect(said == ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "4", "/"])
    }
}
