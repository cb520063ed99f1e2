import Control
import Disk
import Foundation
import Mesh
import Settings
import Testing

@testable import Launch

@Suite("Directories that another process runs on")
struct TakenTests {
    private func settings(_ root: String) throws -> AgentSettings {
        let cluster = """
            cluster: 5f0c3a7e9b2d48c1a6e4f7d08b15c392
            members: [{id: 1, region: us-east-1, role: data, address: "10.1.0.10:7100"}]
            primaryRegion: us-east-1
            """
        return try AgentSettings(file: "node.yaml") { file in
            file == "node.yaml"
                ? "node: 1\ncluster: c.yaml\ndata: \(root)/data\nrun: \(root)/run\n"
                    + "tls: {ca: ca.pem, certificate: n.pem, key: n.key}\n" : cluster
        }
    }

    @Test func `the run directory is taken once, and the second is told by whom`() throws {
        let root = try LaunchTests.directory()
        let settings = try settings(root)
        try FileManager.default.createDirectory(
            atPath: "\(root)/data", withIntermediateDirectories: false)
        try StateDirectory.prepare(settings, ["journal"])
        do {
            try StateDirectory.prepare(settings, ["journal"])
            Issue.record("taken twice")
        } catch {
            #expect(ExitCode.code(of: error) == 75)
            let taken = try #require(error as? StateDirectory.Taken)
            #expect(taken.path == "\(root)/run")
            #expect(taken.holder.map { $0.pid == getpid() } ?? true)
            #expect(ExitCode.explain(error).contains("runs on \(root)/run: only one may. Stop it"))
        }
    }

    @Test func `data that no restart mends ends as a fault of the disk`() {
        struct Lacking: DataAtFault { var description: String { DataAtFaultAdvice.leaveOff } }
        #expect(ExitCode.code(of: Lacking()) == 74)
        #expect(ExitCode.explain(Lacking()).contains("Never init it anew"))
    }

    @Test func `a mesh that speaks more than this release ends as no restart mends it`() {
        let ahead = LevelAhead(mesh: .spoken, spoken: .first, place: "the base")
        #expect(ExitCode.code(of: ahead) == 78)
        #expect(ExitCode.explain(ahead).contains("install the release that the other nodes run"))
        let unread = UnreadableBase(place: "the base", why: "the field tenure.state is missing")
        #expect(ExitCode.code(of: unread) == ExitCode.config)
        #expect("\(unread)".contains("tenure.state") && "\(unread)".contains("install the release"))
    }

    @Test func `a journal that is locked and a socket that answers are busy too`() {
        let locked = DiskError(.open, "/d/journal", .system(EWOULDBLOCK))
        #expect(ExitCode.code(of: locked) == 75)
        #expect(
            ExitCode.explain(locked)
                == "another process runs on /d/journal: only one may. Stop it first, or give this "
                + "node directories of its own")
        #expect(ExitCode.code(of: SocketRefused.taken(path: "/r/admin.sock")) == 75)
        #expect(ExitCode.code(of: SocketRefused.inTheWay(path: "/r/admin.sock")) == 70)
    }

    @Test func `the system's table of locks names the holder by device and inode`() {
        let table = """
            1: POSIX  ADVISORY  WRITE 17 08:01:131090 0 EOF
            2: FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF
            2: -> FLOCK  ADVISORY  WRITE 4712 08:01:131091 0 EOF
            3: FLOCK  ADVISORY  WRITE 4713 fd:101:131090 0 EOF
            4: FLOCK  ADVISORY  WRITE 0 08:01:99 0 EOF
            """
        #expect(LockHolder.holder(of: 131_090, device: 0x801, in: table) == 4_711)
        #expect(LockHolder.holder(of: 131_091, device: 0x801, in: table) == nil)
        #expect(LockHolder.holder(of: 131_090, device: 0x10fd01, in: table) == 4_713)
        #expect(LockHolder.holder(of: 99, device: 0x801, in: table) == nil)
        #expect(LockHolder.holder(of: 131_090, device: 0x802, in: table) == nil)
    }
}
