import Backup
import Foundation
import Mounts
import NIOConcurrencyHelpers
import Testing

/// A mount with real clients.
private final class Rig: Sendable {
    static let byteCount = 8 << 20
    let path: String
    let base: MemoryBase
    let mount: Mount
    let told = NIOLockedValueBox<[String]>([])

    init(isReadOnly: Bool = false, damaged: Range<UInt64> = 0..<0, sparing: UInt64? = nil)
        async throws
    {
        // Short, for a socket's path has at most 107 bytes.
        path = "/tmp/hf-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        var base = MemoryBase(Self.byteCount, seed: 5)
        base.damaged = damaged
        self.base = base
        let volume = try MountedVolume(
            base, byteCount: UInt64(Self.byteCount), overlayIn: isReadOnly ? nil : path,
            sparing: sparing)
        let told = told
        mount = Mount(
            volume, name: "db", socket: path + "/s", isReadOnly: isReadOnly, threads: 4
        ) { words in told.withLockedValue { $0.append(words) } }
        try await mount.start()
    }

    var uri: String { "nbd+unix:///db?socket=\(path)/s" }

    func close() async throws {
        await mount.stop()
        #expect(!FileManager.default.fileExists(atPath: path + "/s"))
        // What was written had no name.
        #expect(try FileManager.default.contentsOfDirectory(atPath: path) == [])
        try FileManager.default.removeItem(atPath: path)
    }
}

@Suite("Real clients on a mount", .serialized) struct ClientTests {
    @Test func `nbdcopy takes out what was there, by the volume's name and by none`() async throws {
        let rig = try await Rig()
        let copy = "/tmp/hf-copy-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: copy) }
        for uri in [rig.uri, "nbd+unix:///?socket=\(rig.path)/s"] {
            try await succeed("/usr/bin/nbdcopy", ["--connections=4", uri, copy])
            #expect(FileManager.default.contents(atPath: copy) == Data(rig.base.bytes))
            try FileManager.default.removeItem(atPath: copy)
        }
        let mode = try FileManager.default.attributesOfItem(atPath: rig.path + "/s")
        #expect(mode[.posixPermissions] as? Int == 0o600)
        let list = try await succeed(
            "/usr/bin/nbdinfo", ["--list", "nbd+unix:///?socket=\(rig.path)/s"])
        #expect(list.contains("export=\"db\""))
        try await rig.close()
    }

    @Test func `what one client writes the others see, and nobody later`() async throws {
        let rig = try await Rig()
        try await succeed(
            "/usr/bin/qemu-io",
            [
                "-f", "raw", rig.uri, "-c", "write -P 0xab 0 1M", "-c", "write -f -P 0x77 5M 1k",
                "-c", "discard 64k 128k", "-c", "write -z 512k 100k", "-c", "flush",
            ])
        let told = try await succeed(
            "/usr/bin/qemu-io",
            [
                "-f", "raw", rig.uri, "-c", "read -P 0xab 0 64k", "-c", "read -P 0 64k 128k",
                "-c", "read -P 0 512k 100k", "-c", "read -P 0x77 5M 1k",
            ])
        #expect(!told.contains("failed"), "\(told)")
        let map = try await succeed("/usr/bin/nbdinfo", ["--map", rig.uri])
        #expect(map.contains("hole,zero"), "\(map)")
        try await rig.close()
        let again = try await Rig()
        let copy = "/tmp/hf-copy-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: copy) }
        try await succeed("/usr/bin/nbdcopy", [again.uri, copy])
        #expect(FileManager.default.contents(atPath: copy) == Data(again.base.bytes))
        try await again.close()
    }

    @Test func `who may not write is told so, and hung up on by nobody`() async throws {
        let rig = try await Rig(isReadOnly: true)
        let told = try await succeed(
            "/usr/bin/python3",
            [
                "-c",
                """
                import errno, nbd
                h = nbd.NBD()
                h.set_strict_mode(0)
                h.connect_uri("\(rig.uri)")
                def name(f):
                    try: f()
                    except nbd.Error as e: return errno.errorcode[e.errnum]
                    return "done"
                print(h.is_read_only(), name(lambda: h.pwrite(b"x" * 70000, 0)), name(lambda: h.trim(512, 0)),
                      name(lambda: h.zero(512, 0)), name(lambda: h.flush()), len(h.pread(70000, 0)))
                """,
            ])
        #expect(told == "True EPERM EPERM EPERM done 70000\n")
        try await rig.close()
    }

    @Test func `what is damaged is an I/O error there alone, and told once`() async throws {
        let rig = try await Rig(damaged: 1_048_576..<1_052_672)
        for _ in 0..<2 {
            let told = try await run(
                "/usr/bin/qemu-io",
                [
                    "-f", "raw", rig.uri, "-c", "read 1M 4k", "-c", "read 1028k 4k", "-c",
                    "read 1020k 4k",
                ])
            #expect(told.output.contains("read failed: Input/output error"))
            #expect(
                told.output.split(separator: "\n").count { $0.hasPrefix("read 4096/4096") } == 2)
        }
        #expect(rig.told.withLockedValue { $0 } == [MemoryBase.away])
        try await rig.close()
    }

    @Test func `where the overlay has no room the client is told there is none`() async throws {
        let rig = try await Rig(sparing: 1 << 60)
        let told = try await run(
            "/usr/bin/qemu-io", ["-f", "raw", rig.uri, "-c", "write 0 4k", "-c", "read 0 4k"])
        #expect(told.output.contains("No space left on device"), "\(told)")
        #expect(told.output.contains("read 4096/4096"), "\(told)")
        try await rig.close()
    }

    @Test func `a place that others could take is no place for a socket`() throws {
        let path = "/tmp/hf-\(UUID().uuidString.prefix(8))"
        func words(_ socket: String) -> String {
            do throws(MountFailure) {
                try MountSocket.check(socket)
                return ""
            } catch { return "\(error)" }
        }
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o777])
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(unsafe chmod(path, 0o777) == 0)
        #expect(words(path + "/s").contains("others than you may write"))
        #expect(unsafe chmod(path, 0o755) == 0)
        #expect(words(path + "/s") == "")
        #expect(words(path + "/no/s").contains("is no directory"))
        #expect(words(path + "/" + String(repeating: "s", count: 100)).contains("longer than"))
        #expect(FileManager.default.createFile(atPath: path + "/s", contents: nil))
        #expect(words(path + "/s").contains("no socket"))
    }

    @Test func `nobody's socket is taken away, but one on which nobody answers is replaced`()
        async throws
    {
        let rig = try await Rig()
        #expect(throws: MountFailure.self) { try MountSocket.check(rig.path + "/s") }
        // As a process leaves it that is killed.
        #expect(unsafe rename(rig.path + "/s", rig.path + "/kept") == 0)
        await rig.mount.stop()
        #expect(unsafe rename(rig.path + "/kept", rig.path + "/s") == 0)
        try MountSocket.check(rig.path + "/s")
        try FileManager.default.removeItem(atPath: rig.path)
    }
}

struct Ran {
    let status: Int32
    let output: String
}

/// Runs a client for at most a minute; its output goes through a file, which never fills up.
func run(_ tool: String, _ arguments: [String]) async throws -> Ran {
    let path = "/tmp/hf-out-\(UUID())"
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = try #require(FileHandle(forWritingAtPath: path))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments = ["-k", "5", "60", tool] + arguments
    process.standardOutput = file
    process.standardError = file
    process.standardInput = FileHandle.nullDevice
    let status = try await withCheckedThrowingContinuation {
        (waiter: CheckedContinuation<Int32, any Error>) in
        process.terminationHandler = { waiter.resume(returning: $0.terminationStatus) }
        do { try process.run() } catch { waiter.resume(throwing: error) }
    }
    try file.close()
    let data = FileManager.default.contents(atPath: path) ?? Data()
    return Ran(status: status, output: String(decoding: data.prefix(20_000), as: UTF8.self))
}

/// Runs it and expects success.
@discardableResult
func succeed(
    _ tool: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation
) async throws -> String {
    let ran = try await run(tool, arguments)
    try #require(
        ran.status == 0, "\(tool) \(arguments): \(ran.output)", sourceLocation: sourceLocation)
    return ran.output
}
