import Foundation
import Scenario
import Testing

/// Texts under Tests/Scenarios/gossip, each with exactly what came of it; `make scenarios` writes them
/// anew.
@Suite struct `Scenarios of gossip` {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Scenarios/gossip")

    static func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path())
            .filter { $0.hasSuffix(".txt") }.sorted()
    }

    @Test(arguments: try names())
    func `each goes as it is written`(name: String) throws {
        let file = Self.folder.appending(path: name)
        let text = try String(contentsOf: file, encoding: .utf8)
        var stage = GossipStage()
        let played = try Scenario(parsing: text).played(on: &stage)
        if ProcessInfo.processInfo.environment["HOLDFAST_RECORD"] == "1" {
            return try played.write(to: file, atomically: true, encoding: .utf8)
        }
        let difference = Scenario.difference(of: text, from: played)
        #expect(difference == nil, "\(name): \(difference ?? "")")
    }
}
