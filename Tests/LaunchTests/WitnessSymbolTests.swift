import Foundation
import Testing

@Suite("The witness links little")
struct WitnessSymbolTests {
    /// The built executable, beside the running tests.
    private static func symbols(of program: String) throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = URL(filePath: own).deletingLastPathComponent().appending(path: program)
        let nm = Process()
        nm.executableURL = URL(filePath: "/usr/bin/env")
        nm.arguments = ["nm", path.path()]
        let pipe = Pipe()
        nm.standardOutput = pipe
        try nm.run()
        let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
        nm.waitUntilExit()
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Swift's mangled names begin with the length and name of their module.
    @Test func `no volume, export, command or node logic is in it`() throws {
        let witness = try Self.symbols(of: "holdfast-witness")
        #expect(witness.contains("$s4Raft"))
        for module in ["VolumeCore", "Volumes", "NBDProtocol", "Node", "Wire", "SwiftProtobuf"] {
            #expect(!witness.contains("$s\(module.utf8.count)\(module)"), "\(module)")
        }
    }

    @Test func `the same look finds them in the agent`() throws {
        let agent = try Self.symbols(of: "holdfast-agent")
        for module in ["VolumeCore", "Volumes", "NBDProtocol", "Node", "Wire"] {
            #expect(agent.contains("$s\(module.utf8.count)\(module)"), "\(module)")
        }
    }
}
