import Foundation
import Testing

/// The programs as an operator starts them: nodes 1 and 2 store data, 3 is the witness, and `data` of
/// all three is one directory, as a mistaken configuration has it.
@Suite("A node's first start, and the start that must not be one", .timeLimit(.minutes(2)))
struct FirstStartTests {
    private static let cluster = "5f0c3a7e9b2d48c1a6e4f7d08b15c392"
    private static let startSecondsMax = 20
    private let home: String

    init() async throws {
        home = try Program.freshDirectory()
        try """
        cluster: \(Self.cluster)
        members:
          - {id: 1, region: us-east-1, role: data, address: "127.0.0.1:\(try Self.freePort())"}
          - {id: 2, region: us-west-2, role: data, address: "127.0.0.1:\(try Self.freePort())"}
          - {id: 3, region: eu-west-1, role: witness, address: "127.0.0.1:\(try Self.freePort())"}
        primaryRegion: us-east-1
        """.write(toFile: home + "/cluster.yaml", atomically: false, encoding: .utf8)
        _ = try await Program.run(["cert", "init", "--dir", home, "--cluster", Self.cluster])
        for (node, region) in [(1, "us-east-1"), (2, "us-west-2"), (3, "eu-west-1")] {
            let issued = try await Program.run([
                "cert", "issue", "--dir", home, "--node", "\(node)", "--region", region,
                "--address", "127.0.0.1",
            ])
            #expect(issued.code == 0)
            try """
            node: \(node)
            cluster: cluster.yaml
            data: data
            run: run-\(node)
            tls: {ca: ca.pem, certificate: node-\(node).pem, key: node-\(node).key}
            """.write(toFile: config(node), atomically: false, encoding: .utf8)
        }
    }

    private func config(_ node: Int) -> String { "\(home)/node-\(node).yaml" }

    static func freePort() throws -> UInt16 {
        let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(probe) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { plain in
                unsafe bind(probe, plain, length) + getsockname(probe, plain, &length)
            }
        }
        try #require(result == 0)
        return UInt16(bigEndian: address.sin_port)
    }

    private func daemon(_ node: Int) throws -> String {
        let name = node == 3 ? "holdfast-witness" : "holdfast-agent"
        return URL(filePath: try Program.path).deletingLastPathComponent().appending(path: name)
            .path()
    }

    /// Of one that ends by itself.
    private func refused(_ node: Int) async throws -> Program.Said {
        try await Program.run(["--config", config(node)], program: try daemon(node))
    }

    /// Whether it starts; it is stopped again.
    private func starts(_ node: Int) async throws -> Bool {
        let log = Pipe()
        let process = Process()
        process.executableURL = URL(filePath: try daemon(node))
        process.arguments = ["--config", config(node)]
        process.standardInput = FileHandle.nullDevice
        process.standardError = log
        try process.run()
        // One that says nothing is ended, and with it the log.
        let limit = DispatchWorkItem { process.terminate() }
        DispatchQueue.global().asyncAfter(
            deadline: .now() + .seconds(Self.startSecondsMax), execute: limit)
        defer { limit.cancel() }
        var (said, hasStarted) = (Data(), false)
        while !hasStarted {
            let more = log.fileHandleForReading.availableData
            guard !more.isEmpty else { break }
            said += more
            hasStarted = String(decoding: said, as: UTF8.self).contains(" started ")
        }
        process.terminate()
        process.waitUntilExit()
        return hasStarted && process.terminationStatus == 0
    }

    private func initialise(_ node: Int) async throws -> Program.Said {
        try await Program.run(["init", "--config", config(node)])
    }

    @Test(arguments: [1, 3])
    func `a daemon refuses a directory that no init made, and says what to do`(node: Int)
        async throws
    {
        for isThere in [false, true] {
            if isThere {
                try FileManager.default.createDirectory(
                    atPath: home + "/data", withIntermediateDirectories: true)
            }
            let said = try await refused(node)
            #expect(said.code == 78)
            #expect(said.errors.contains("\(home)/data holds no node's data"))
            #expect(said.errors.contains("not mounted or the directory was emptied"))
            #expect(said.errors.contains("Never init a node that has served"))
            #expect(said.errors.contains("holdfast init --config \(config(node))"))
        }
        // Nothing was made that a later init, or another start, would stumble over.
        #expect(try FileManager.default.contentsOfDirectory(atPath: home + "/data") == [])
        #expect(try await initialise(node).code == 0)
        try FileManager.default.removeItem(atPath: home)
    }

    @Test(arguments: [1, 3])
    func `after init it starts, and starts again; emptied, it is refused`(node: Int) async throws {
        let made = try await initialise(node)
        #expect(made.code == 0 && made.errors == "")
        #expect(made.output.contains("made \(home)/data for node \(node)"))
        let program = node == 3 ? "holdfast-witness" : "holdfast-agent"
        #expect(made.output.contains("next: \(program) --config \(config(node))\n"))
        #expect(try await starts(node))
        #expect(try await starts(node))
        let data = home + "/data"
        let identity = try String(contentsOfFile: data + "/identity", encoding: .utf8)
        #expect(identity.hasSuffix("\njournal begun\n"))
        // The journal's disk alone is not mounted.
        try FileManager.default.moveItem(atPath: data + "/journal", toPath: home + "/aside")
        let gone = try await refused(node)
        #expect(gone.code == 78 && gone.errors.contains("\(data)/journal has no segments"))
        try FileManager.default.moveItem(atPath: home + "/aside", toPath: data + "/journal")
        #expect(try await starts(node))
        try FileManager.default.removeItem(atPath: data)
        #expect(try await refused(node).code == 78)
        try FileManager.default.removeItem(atPath: home)
    }

    @Test func `a run directory too long for a socket is a fault of the configuration`()
        async throws
    {
        #expect(try await initialise(1).code == 0)
        let text = try String(contentsOfFile: config(1), encoding: .utf8)
        let long = home + "/" + String(repeating: "r", count: 93 - home.utf8.count - 1)
        try text.replacing("run: run-1", with: "run: \(long)")
            .write(toFile: config(1), atomically: false, encoding: .utf8)
        let said = try await refused(1)
        #expect(said.code == 78)
        #expect(said.errors.contains("\(config(1)):4: run: \(long) has 93 bytes; at most 92"))
        try text.replacing("run: run-1", with: "run: \(long.dropLast())")
            .write(toFile: config(1), atomically: false, encoding: .utf8)
        #expect(try await starts(1))
        try FileManager.default.removeItem(atPath: home)
    }

    @Test func `init refuses what it made, what served, and another node's`() async throws {
        #expect(try await initialise(1).code == 0)
        let identity = try String(contentsOfFile: home + "/data/identity", encoding: .utf8)
        let again = try await initialise(1)
        #expect(again.code == 1 && again.output == "")
        #expect(again.errors.contains("\(home)/data holds something already: identity."))
        #expect(try await starts(1))
        let served = try await initialise(1)
        #expect(served.code == 1 && served.errors.contains("identity, incarnation, journal"))
        let foreign = try await initialise(2)
        #expect(foreign.code == 1 && foreign.errors.contains("Nothing was changed."))
        let start = try await refused(2)
        #expect(start.code == 78 && start.errors.contains("never start a node on another one's"))
        #expect(
            try String(contentsOfFile: home + "/data/identity", encoding: .utf8)
                == identity + "journal begun\n")
        try FileManager.default.removeItem(atPath: home)
    }

    /// Two of three seem dead, and somebody makes the third one's file list it alone.
    @Test func `with whom a mesh begins is what init was told, and the file can't change it later`()
        async throws
    {
        #expect(try await initialise(1).code == 0)
        let path = home + "/cluster.yaml"
        let whole = try String(contentsOfFile: path, encoding: .utf8)
        let alone = whole.split(separator: "\n").filter {
            !$0.contains("id: 2") && !$0.contains("id: 3")
        }
        try alone.joined(separator: "\n").write(toFile: path, atomically: false, encoding: .utf8)
        let said = try await refused(1)
        #expect(said.code == 78)
        #expect(
            said.errors.contains("the members are 1 data, 2 data, 3 witness since \(home)/data"))
        #expect(said.errors.contains("lists 1 data.") && said.errors.contains("a second primary"))
        try whole.write(toFile: path, atomically: false, encoding: .utf8)
        #expect(try await starts(1))
        // From here on the log says who votes: the file may follow it.
        try alone.joined(separator: "\n").write(toFile: path, atomically: false, encoding: .utf8)
        #expect(try await starts(1))
        try FileManager.default.removeItem(atPath: home)
    }

    @Test func `a directory from before there was init starts`() async throws {
        try FileManager.default.createDirectory(
            atPath: home + "/data", withIntermediateDirectories: true)
        try "cluster \(Self.cluster) node 1\n".write(
            toFile: home + "/data/identity", atomically: false, encoding: .utf8)
        #expect(try await starts(1))
        #expect(try await starts(1))
        try FileManager.default.removeItem(atPath: home)
    }
}
