import Admin
import Foundation
import Testing

@testable import Control

@Suite("The admin socket, served and asked for real", .timeLimit(.minutes(2)))
struct SocketTests {
    @Test func `every question comes to the door and its answer comes back`() async throws {
        let served = try await Served()
        let client = served.client
        let status = try await client.ask(.status, for: StatusReport.self)
        #expect(status.node == 1 && status.volumes == [])
        let request = VolumeRequest(name: "db", byteCount: 1 << 30, mode: .async)
        let made = try await client.ask(.createVolume(request), for: VolumeReport.self)
        #expect(made.name == "db" && made.byteCount == 1 << 30 && made.mode == .async)
        let volumes = try await client.ask(.volumes, for: VolumesReport.self)
        #expect(volumes.volumes == [made])
        let members = try await client.ask(.members, for: MembersReport.self)
        #expect(members.members == status.members)
        #expect(try await client.ask(.deleteVolume(named: "db")) == [])
        #expect(try await client.ask(.volumes, for: VolumesReport.self).volumes == [])
        #expect(try await client.ask(.raft, for: RaftReport.self).voters == [1, 2, 3])
        let change = Route.switchover(SwitchoverRequest(region: "us-west-2"))
        #expect(try await client.ask(change, for: SwitchoverReport.self).epoch == 4)
        await served.end()
    }

    @Test func `an answer of a megabyte arrives whole`() async throws {
        let served = try await Served()
        let log = try await served.client.ask(
            .log(LogQuery(max: LogQuery.entriesMax)), for: LogReport.self)
        #expect(log.entries.map(\.index) == Array(4_001...5_000))
        await served.end()
    }

    @Test func `a refusal of the door arrives as a problem with a remedy`() async throws {
        let served = try await Served()
        let problem = Problem(.volume(.unknown(name: "db", known: [])))
        await #expect(throws: AskFailed.refused(problem)) {
            try await served.client.ask(.deleteVolume(named: "db"))
        }
        let request = VolumeRequest(name: FakeDoor.broken, byteCount: 4_096, mode: .sync)
        let mishap = Problem(.node(.mishap(why: "cannot write segment-1")))
        await #expect(throws: AskFailed.refused(mishap)) {
            try await served.client.ask(.createVolume(request))
        }
        await served.end()
    }

    @Test func `bytes of a snapshot come as they are, and a refusal in their place is told`()
        async throws
    {
        let served = try await Served()
        var read = SnapshotRead(snapshot: 5, volume: 1, from: 250, to: 260)
        let bytes = try await served.client.ask(.readSnapshot(read))
        #expect(bytes == [250, 251, 252, 253, 254, 255, 0, 1, 2, 3])
        read.snapshot = 6
        let gone = Problem(.snapshot(.ended(why: "it was deleted")))
        let other = read
        await #expect(throws: AskFailed.refused(gone)) {
            try await served.client.ask(.readSnapshot(other))
        }
        let shape = try await served.client.ask(
            .snapshotShape(named: "before", volume: "db"), for: SnapshotShapeReport.self)
        #expect(shape.held == [0, 65_536])
        await served.end()
    }

    @Test func `a foreign client is understood, and understands`() async throws {
        let served = try await Served()
        func curl(_ arguments: String...) async throws -> (code: Int32, output: String) {
            try await run(
                "/usr/bin/curl",
                ["-sS", "-m", "10", "-w", " %{http_code}", "--unix-socket", served.path] + arguments
            )
        }
        let made = try await curl(
            "-d", #"{"name":"a","byteCount":8192,"mode":"sync"}"#, "http://localhost/v1/volumes")
        #expect(made.output.hasPrefix("{\"byteCount\":8192,") && made.output.hasSuffix(" 201"))
        let absent = try await curl("-i", "-X", "DELETE", "http://localhost/v1/volumes/b")
        #expect(absent.output.contains("content-type: application/problem+json"))
        #expect(absent.output.contains("\"remedy\":\"See `holdfast volume list`.\""))
        #expect(absent.output.hasSuffix(" 404"))
        #expect(try await curl("-X", "DELETE", "http://localhost/v1/volumes/a").output == " 204")
        let put = try await curl("-i", "-X", "PUT", "http://localhost/v1/status")
        #expect(put.output.contains("allow: GET\r\n") && put.output.hasSuffix(" 405"))
        await served.end()
    }
}

@Suite("The admin socket's file")
struct SocketFileTests {
    @Test func `it is the owner's alone, and gone after the end`() async throws {
        let served = try await Served()
        var status = stat()
        #expect(unsafe lstat(served.path, &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o600)
        await served.server.shutdown()
        #expect(unsafe lstat(served.path, &status) != 0)
        await served.end()
    }

    @Test func `a socket whose owner died is replaced`() async throws {
        let path = try Served.freshPath()
        let dead = try SocketFile(listeningAt: path, backlog: 1)
        close(dead.descriptor)
        let served = try await Served(at: path)
        _ = try await served.client.ask(.status)
        await served.end()
    }

    @Test func `a name that is another file's by now is not removed`() async throws {
        let served = try await Served()
        try FileManager.default.moveItem(atPath: served.path, toPath: served.path + ".old")
        try "mine".write(toFile: served.path, atomically: false, encoding: .utf8)
        await served.server.shutdown()
        #expect(try String(contentsOfFile: served.path, encoding: .utf8) == "mine")
        await served.end()
    }

    @Test func `a socket on which somebody answers is left alone`() async throws {
        let served = try await Served()
        await #expect(throws: SocketRefused.taken(path: served.path)) {
            try await Served(at: served.path)
        }
        _ = try await served.client.ask(.status)
        await served.end()
    }

    @Test func `a file that is no socket is left alone`() async throws {
        let path = try Served.freshPath()
        try "mine".write(toFile: path, atomically: false, encoding: .utf8)
        await #expect(throws: SocketRefused.inTheWay(path: path)) { try await Served(at: path) }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine")
        try Served.removeDirectory(of: path)
    }

    @Test func `a path that no socket can have, and a missing directory, are explained`() async {
        let long = "/tmp/" + String(repeating: "x", count: 103)
        #expect(throws: SocketRefused.tooLong(path: long)) {
            try SocketFile(listeningAt: long, backlog: 1)
        }
        #expect(throws: SocketRefused.system(doing: "bind", path: "/tmp/none/a", errno: ENOENT)) {
            try SocketFile(listeningAt: "/tmp/none/a", backlog: 1)
        }
        await #expect(
            throws: AskFailed.unreachable(path: "/tmp/none/a", why: "there is no such socket")
        ) { try await AdminClient(path: "/tmp/none/a").ask(.status) }
    }

    @Test(.enabled(if: geteuid() == 0, "only root can become somebody else"))
    func `another user is told why, even where the mode lets him in`() async throws {
        let served = try await Served()
        unsafe chmod(served.path, 0o666)
        unsafe chmod(URL(filePath: served.path).deletingLastPathComponent().path(), 0o755)
        let said = try await run(
            "/usr/bin/setpriv",
            [
                "--reuid", "65534", "--regid", "65534", "--clear-groups", "curl", "-sS", "-m", "10",
                "--unix-socket", served.path, "http://localhost/v1/status",
            ])
        #expect(said.output.contains("\"title\":\"You may not use this socket\""))
        #expect(said.output.contains("User id 65534 is neither root nor"))
        await served.end()
    }
}
