import Admin
import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import Control

@Suite("The admin socket under bad clients", .timeLimit(.minutes(2)))
struct HostileTests {
    private func reply(_ text: String, _ served: Served) async throws -> String {
        let socket = try RawSocket(served.path)
        socket.send(text)
        return await socket.readAll()
    }

    @Test(arguments: [
        ("\u{16}\u{3}\u{1}\u{2}rubbish\r\n\r\n", 400), ("GET /v1/status\r\n\r\n", 400),
        ("GET /v1/status HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
        ("POST /v1/volumes HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST /v1/volumes HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413),
        ("GET /v1/status HTTP/1.1\r\nX: \(String(repeating: "y", count: 17_000))\r\n\r\n", 431),
        ("GET /\(String(repeating: "y", count: 5_000)) HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (
            "GET /v1/status HTTP/1.1\r\n\(String(repeating: "A: b\r\n", count: 65))\r\n", 431
        ),
    ])
    func `what is no lawful request gets a problem and the end`(
        text: String, status: Int
    ) async throws {
        let served = try await Served()
        let said = try await reply(text, served)
        #expect(said.hasPrefix("HTTP/1.1 \(status) "), "\(said.prefix(80))")
        #expect(said.contains("application/problem+json"))
        await served.end()
    }

    @Test func `an endless chunked body is refused at the limit`() async throws {
        let served = try await Served()
        let socket = try RawSocket(served.path)
        socket.send("POST /v1/volumes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        let chunk = "1000\r\n" + String(repeating: " ", count: 0x1000) + "\r\n"
        for _ in 0..<17 { socket.send(chunk) }
        #expect(await socket.readAll().hasPrefix("HTTP/1.1 413 "))
        await served.end()
    }

    @Test func `a reader who does not read holds up nobody, and is dropped`() async throws {
        var limits = ControlLimits()
        limits.fetchDeadline = .milliseconds(300)
        let served = try await Served(limits: limits)
        let lazy = try RawSocket(served.path)
        lazy.send("GET /v1/log?max=1000 HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in 0..<20 { _ = try await served.client.ask(.status) }
        try await Task.sleep(for: .milliseconds(600))
        let said = await lazy.readAll()
        #expect(said.hasPrefix("HTTP/1.1 200 "))
        #expect(said.utf8.count < 1_000_000, "the whole answer was kept for it")
        await served.end()
    }

    private let stuck = Route.createVolume(
        VolumeRequest(name: FakeDoor.stuck, byteCount: 4_096, mode: .sync))

    @Test func `a door that does not answer in time is answered for`() async throws {
        var limits = ControlLimits()
        limits.answerDeadline = .seconds(1)
        let served = try await Served(limits: limits)
        let late = Problem(HTTPRefused.lateAnswer(seconds: 1))
        await #expect(throws: AskFailed.refused(late)) { try await served.client.ask(stuck) }
        #expect(late.status == 504 && late.isForWantOfQuorum)
        await served.end()
    }

    @Test func `a call that waits holds up no other, and is let go at the end`() async throws {
        var limits = ControlLimits()
        // It is let go by the end, and by nothing before, however slow this machine is.
        (limits.answerDeadline, limits.clientDeadline) = (.seconds(3_600), .seconds(3_600))
        let served = try await Served(limits: limits)
        let patient = AdminClient(path: served.path, limits: limits)
        async let answer = { try? await patient.ask(stuck) }()
        while served.door.stuckCount == 0 { try await Task.sleep(for: .milliseconds(5)) }
        for _ in 0..<20 { _ = try await served.client.ask(.status) }
        #expect(served.door.stuckCount == 1)
        await served.server.shutdown()
        #expect(await answer == nil)
        while served.door.stuckCount > 0 { try await Task.sleep(for: .milliseconds(5)) }
        await served.end()
    }

    @Test func `whoever sends no whole request is told and dropped`() async throws {
        var limits = ControlLimits()
        limits.arrivalDeadline = .milliseconds(200)
        let served = try await Served(limits: limits)
        #expect(try await reply("", served).hasPrefix("HTTP/1.1 408 "))
        let half = "POST /v1/volumes HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"
        #expect(try await reply(half, served).hasPrefix("HTTP/1.1 408 "))
        await served.end()
    }

    @Test func `a connection too many is turned away with the reason, and room is given again`()
        async throws
    {
        var limits = ControlLimits()
        limits.connectionsMax = 2
        // One loop accepts in the order of arrival; of several, another may turn away a held one.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let served = try await Served(limits: limits, group: group)
        do {
            let held = [try RawSocket(served.path), try RawSocket(served.path)]
            await #expect(throws: AskFailed.refused(Problem(HTTPRefused.crowded(limit: 2)))) {
                try await served.client.ask(.status)
            }
            #expect(held.count == 2)
        }
        var isOpen = false
        for _ in 0..<100 where !isOpen {
            isOpen = (try? await served.client.ask(.status)) != nil
            if !isOpen { try await Task.sleep(for: .milliseconds(10)) }
        }
        #expect(isOpen)
        await served.end()
        try await group.shutdownGracefully()
    }

    @Test func `above those who are told why, connections are closed at once`() async throws {
        var limits = ControlLimits()
        (limits.connectionsMax, limits.turnedAwayMax) = (1, 1)
        limits.refusedDeadline = .seconds(60)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let served = try await Served(limits: limits, group: group)
        let held = [try RawSocket(served.path), try RawSocket(served.path)]
        #expect(try await RawSocket(served.path).readAll() == "")
        #expect(held.count == 2)
        await served.end()
        try await group.shutdownGracefully()
    }

    @Test func `a silent server is not waited for without end`() async throws {
        let path = try Served.freshPath()
        let silent = try SocketFile(listeningAt: path, backlog: 4)
        var limits = ControlLimits()
        limits.clientDeadline = .seconds(1)
        await #expect(throws: AskFailed.late(path: path, seconds: 1)) {
            try await AdminClient(path: path, limits: limits).ask(.status)
        }
        close(silent.descriptor)
        try Served.removeDirectory(of: path)
    }

    @Test func `the end drops who is connected`() async throws {
        let served = try await Served()
        let idle = try RawSocket(served.path)
        _ = try await served.client.ask(.status)
        await served.server.shutdown()
        #expect(await idle.readAll() == "")
        await served.end()
    }
}
