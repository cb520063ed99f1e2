import Foundation
import Mesh
import Synchronization
import Testing
import VolumeCore
import Volumes

/// Python's raw socket on the export, and the handshake in short.
private func raw(_ rig: Rig, _ script: String) async throws -> String {
    try await succeed(
        "/usr/bin/python3",
        [
            "-c",
            """
            import socket, struct, time
            def connect():
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(20)
                s.connect("\(rig.socket)")
                return s
            def take(s, count):
                data = b""
                while len(data) < count:
                    part = s.recv(count - len(data))
                    if not part: return None
                    data += part
                return data
            def is_gone(s):
                try:
                    while s.recv(65536): pass
                    return True
                except ConnectionError: return True
            def export(s):
                take(s, 18)
                s.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 1, 0))
                return take(s, 10)
            def request(command, cookie, offset, count):
                return struct.pack(">IHHQQI", 0x25609513, 0, command, cookie, offset, count)
            """ + "\n" + script,
        ])
}

@Suite("Clients that mean harm or know no better", .serialized)
struct HostileTests {
    private func shortDeadline() -> NBDLimits {
        var limits = NBDLimits()
        limits.handshakeDeadline = .milliseconds(300)
        return limits
    }

    @Test func `who says nothing is let go after the deadline, who has opened an export is not`()
        async throws
    {
        let rig = try await Rig.open(limits: shortDeadline())
        let told = try await raw(
            rig,
            """
            good, silent = connect(), connect()
            export(good)
            start = time.time()
            print(is_gone(silent), 0.2 < time.time() - start < 10)
            time.sleep(0.5)
            good.sendall(request(0, 7, 0, 512))
            print(take(good, 16 + 512)[8:16] == struct.pack(">Q", 7))
            """)
        #expect(told == "True True\nTrue\n")
        try await rig.close()
    }

    @Test func `a request without its magic ends its own connection alone`() async throws {
        let rig = try await Rig.open()
        let told = try await raw(
            rig,
            """
            good, bad = connect(), connect()
            export(good), export(bad)
            bad.sendall(b"x" * 28)
            print(is_gone(bad))
            good.sendall(request(3, 9, 0, 0))
            print(take(good, 16) == struct.pack(">IIQ", 0x67446698, 0, 9))
            """)
        #expect(told == "True\nTrue\n")
        try await rig.close()
    }

    @Test func `cut into single bytes requests are the same`() async throws {
        let rig = try await Rig.open()
        let told = try await raw(
            rig,
            """
            s = connect()
            export(s)
            bytes = request(1, 1, 0, 5) + b"hello" + request(0, 2, 0, 6)
            for byte in bytes: s.sendall(bytes[:0] + struct.pack("B", byte))
            print(take(s, 16 + 16 + 6)[-6:])
            """)
        #expect(told == "b'hello\\x00'\n")
        try await rig.close()
    }

    @Test func `a write too long to read past is answered and the connection ends`() async throws {
        let rig = try await Rig.open()
        let told = try await raw(
            rig,
            """
            s = connect()
            export(s)
            s.sendall(request(1, 3, 0, 0xffffffff))
            print(take(s, 16) == struct.pack(">IIQ", 0x67446698, 22, 3), is_gone(s))
            """)
        #expect(told == "True True\n")
        try await rig.close()
    }

    @Test func `who sends and never reads gets no more in flight than the bound`() async throws {
        var limits = NBDLimits()
        limits.requestsInFlightMax = 16
        let rig = try await Rig.open(limits: limits)
        let marker = rig.path + "/ready"
        let go = rig.path + "/go"
        async let told = raw(
            rig,
            """
            import os
            s = connect()
            export(s)
            s.sendall(b"".join(request(0, cookie, 0, 128 << 10) for cookie in range(300)))
            time.sleep(0.7)
            open("\(marker)", "w").close()
            while not os.path.exists("\(go)"): time.sleep(0.01)
            cookies = {struct.unpack(">Q", take(s, 16 + (128 << 10))[8:16])[0] for _ in range(300)}
            print(len(cookies))
            """)
        try await rig.wait("client") { FileManager.default.fileExists(atPath: marker) }
        let posted = rig.requestsPosted.load(ordering: .relaxed)
        // Some replies fit into the socket's buffer and leave room for more.
        #expect((16..<30).contains(posted), "\(posted)")
        #expect(FileManager.default.createFile(atPath: go, contents: nil))
        #expect(try await told == "300\n")
        try await rig.close()
    }

    @Test func `all connections together hold no more bytes than the bound, and all are served`()
        async throws
    {
        var limits = NBDLimits()
        limits.bytesInFlightTotalMax = 2 << 20
        let rig = try await Rig.open(limits: limits)
        let (marker, go) = (rig.path + "/ready", rig.path + "/go")
        async let told = raw(
            rig,
            """
            import os
            clients = [connect() for _ in range(4)]
            for s in clients:
                export(s)
                s.sendall(b"".join(request(0, cookie, 0, 512 << 10) for cookie in range(60)))
            time.sleep(0.7)
            open("\(marker)", "w").close()
            while not os.path.exists("\(go)"): time.sleep(0.01)
            for s in clients: print(all(take(s, 16 + (512 << 10)) for _ in range(60)))
            """)
        try await rig.wait("client") { FileManager.default.fileExists(atPath: marker) }
        // Four times half a megabyte fill the bound; each of the others may have one.
        let posted = rig.requestsPosted.load(ordering: .relaxed)
        #expect((4...7).contains(posted), "\(posted)")
        #expect(FileManager.default.createFile(atPath: go, contents: nil))
        #expect(try await told == "True\nTrue\nTrue\nTrue\n")
        try await rig.close()
    }

    @Test func `an export takes no more connections than the bound`() async throws {
        var limits = NBDLimits()
        limits.connectionsPerExportMax = 3
        let rig = try await Rig.open(limits: limits)
        let told = try await raw(
            rig,
            """
            held = [connect() for _ in range(3)]
            for s in held: export(s)
            more = connect()
            print(export(more), is_gone(more))
            held.pop().close()
            time.sleep(0.3)
            print(len(export(connect())))
            """)
        #expect(told == "None True\n10\n")
        #expect(rig.server.status.map(\.connections) == [0] || rig.server.status.count == 1)
        try await rig.close()
    }

    @Test func `DISC is answered by the end of the connection, after what was in flight`()
        async throws
    {
        let rig = try await Rig.open()
        let told = try await raw(
            rig,
            """
            s = connect()
            export(s)
            s.sendall(request(1, 1, 0, 4) + b"data" + request(3, 2, 0, 0) + request(2, 3, 0, 0))
            print(take(s, 32) is not None, is_gone(s))
            """)
        #expect(told == "True True\n")
        try await rig.close()
    }

    @Test func `the socket is its owner's alone, and a dead process's one is replaced`()
        async throws
    {
        let path = "/tmp/hf-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(
            atPath: path + "/volumes", withIntermediateDirectories: true)
        try await succeed(
            "/usr/bin/python3",
            [
                "-c",
                "import socket; socket.socket(socket.AF_UNIX).bind('\(path)/volumes/disk1.sock')",
            ])
        let rig = try await Rig(at: path)
        rig.log.decide(
            .created(Rig.volume, name: "disk1", byteCount: 1 << 20, isSync: true))
        try await rig.wait("create") { rig.log.applied == rig.log.last }
        rig.thread.post(.opened(Epoch(1), until: .distantFuture))
        try await rig.waitForSocket()
        #expect(rig.server.status.first?.socketFault == nil)
        try await succeed("/usr/bin/nbdinfo", [rig.uri])
        let attributes = try FileManager.default.attributesOfItem(atPath: rig.socket)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        try await rig.close()
    }
}
