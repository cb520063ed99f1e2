import Foundation
import Fuzzing
import Testing

@Suite("What fuzzing began with and found")
struct CorpusTests {
    static let corpus = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Corpus")
    static let names = FuzzTarget.all.map(\.name)
    /// A corpus that grows beyond it was not merged.
    static let byteCountMax = 2 << 20

    @Test func `each target has a corpus, and each corpus a target`() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path())
        #expect(folders.sorted() == Self.names.sorted())
        #expect(Set(Self.names).count == Self.names.count)
    }

    @Test(arguments: names)
    func `what our encoders write is accepted`(name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let seeds = try target.seeds()
        #expect(!seeds.isEmpty)
        for (number, seed) in seeds.enumerated() {
            #expect(try target.take(seed) == .accepted, "seed \(number)")
            #expect(seed.count <= target.byteCountMax, "seed \(number)")
        }
    }

    @Test(arguments: names)
    func `no promise is broken by any file of its corpus`(name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let files = try Self.files(of: name)
        #expect(!files.isEmpty)
        for file in files {
            let bytes = Array(try Data(contentsOf: file))
            #expect(throws: Never.self, "\(file.lastPathComponent)") { try target.take(bytes) }
        }
    }

    @Test(arguments: names)
    func `any beginning of a file breaks no promise either`(name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        for seed in try target.seeds() {
            for count in stride(from: 0, to: seed.count, by: max(1, seed.count / 64)) {
                #expect(throws: Never.self, "\(count) bytes") {
                    try target.take(Array(seed[..<count]))
                }
            }
        }
    }

    @Test func `the corpora stay small`() throws {
        var byteCount = 0
        for name in Self.names {
            for file in try Self.files(of: name) { byteCount += try Data(contentsOf: file).count }
        }
        #expect(byteCount <= Self.byteCountMax)
    }

    static func files(of name: String) throws -> [URL] {
        let folder = corpus.appending(path: name)
        return try FileManager.default.contentsOfDirectory(atPath: folder.path()).sorted()
            .map { folder.appending(path: $0) }
    }
}
