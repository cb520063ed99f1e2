import Foundation
import Launch
import Logging
import Mesh
import Raft
import Settings
import Store
import Testing

@Suite("Words, files and places of a daemon")
struct LaunchTests {
    static func directory() throws -> String {
        let path = FileManager.default.temporaryDirectory.path() + "hf-\(UUID())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    @Test func `the configuration's place is given or the usual one`() throws {
        #expect(try Invocation([]).config == "/etc/holdfast/node.yaml")
        #expect(try Invocation(["--config", "a.yaml"]).config == "a.yaml")
        #expect(try Invocation(["--version"]).deed == .version)
    }

    @Test func `a word that is not known is named`() {
        #expect(throws: Invocation.Refused.unknown("--fast")) { try Invocation(["--fast"]) }
        #expect(throws: Invocation.Refused.missing("--config")) { try Invocation(["--config"]) }
    }

    @Test func `each start speaks above every incarnation claimed before`() throws {
        let file = IncarnationFile(in: try Self.directory())
        #expect(try file.next() == Incarnation(1))
        #expect(try file.next() == Incarnation(2))
        try file.persist(Incarnation(41))
        #expect(try file.next() == Incarnation(42))
    }

    @Test func `an incarnation that can't be read is a fault, not a new beginning`() throws {
        let directory = try Self.directory()
        try "seven".write(toFile: directory + "/incarnation", atomically: true, encoding: .utf8)
        #expect(throws: StateFile.Failed.self) { try IncarnationFile(in: directory).next() }
    }

    @Test func `the example clusters become memberships: a witness votes beside two data members`()
        throws
    {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        func cluster(_ name: String) throws -> ClusterSettings {
            let file = root.appending(path: "cluster-configs/\(name)/cluster.yaml").path()
            return try ClusterSettings(
                parsing: try String(contentsOfFile: file, encoding: .utf8), file: file)
        }
        let three = try cluster("three-regions")
        #expect(three.membership.voters.witness == nil)
        #expect(three.membership.voters.data.count == 3)
        #expect(three.order.first == NodeID(1))
        let two = try cluster("two-regions-and-witness")
        #expect(two.membership.voters.witness == NodeID(3))
        #expect(two.membership.voters.quorum == 2)
    }

    @Test func `a service manager that asked is told, over its own socket`() throws {
        let path = try Self.directory() + "/notify"
        let server = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(server) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(server, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        ServiceManager(socket: path).ready("node 1")
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = unsafe recv(server, &buffer, buffer.count, 0)
        #expect(
            String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
                == "READY=1\nSTATUS=node 1")
    }
}
