import Disk
import Foundation
import Mesh
import Synchronization
import Testing
import VolumeCore
import Volumes

@Suite("Real clients on an export", .serialized)
struct ClientTests {
    private func randomFile(_ path: String, megabytes: Int) async throws {
        try await succeed(
            "/bin/dd", ["if=/dev/urandom", "of=\(path)", "bs=1M", "count=\(megabytes)"])
    }

    @Test func `nbdinfo is told size, block sizes and what the export can do`() async throws {
        let rig = try await Rig.open()
        let text = try await succeed("/usr/bin/nbdinfo", ["--json", rig.uri])
        let parsed = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        let exports = try #require(parsed?["exports"] as? [[String: Any]])
        let export = try #require(exports.first)
        #expect(parsed?["structured"] as? Bool == true)
        #expect(export["export-name"] as? String == "disk1")
        #expect(export["export-size"] as? Int == 64 << 20)
        for can in ["flush", "fua", "trim", "zero", "multi_conn", "df"] {
            #expect(export["can_\(can)"] as? Bool == true, "can_\(can)")
        }
        #expect(export["can_fast_zero"] as? Bool == false)
        #expect(export["is_read_only"] as? Bool == false)
        #expect(export["block_size_minimum"] as? Int == 1)
        #expect(export["block_size_preferred"] as? Int == 4_096)
        #expect(export["block_size_maximum"] as? Int == 32 << 20)
        #expect(export["contexts"] as? [String] == ["base:allocation"])
        let list = try await succeed(
            "/usr/bin/nbdinfo", ["--list", "nbd+unix:///?socket=\(rig.socket)"])
        #expect(list.contains("export=\"disk1\""))
        try await rig.close()
    }

    @Test func `nbdcopy of a random image in and out is identical, also by qemu-img`() async throws
    {
        let rig = try await Rig.open(byteCount: 12 << 20)
        let (image, copy) = (rig.path + "/in", rig.path + "/out")
        try await randomFile(image, megabytes: 12)
        try await succeed("/usr/bin/nbdcopy", ["--flush", "--connections=4", image, rig.uri])
        try await succeed("/usr/bin/nbdcopy", ["--connections=4", rig.uri, copy])
        try await succeed("/usr/bin/cmp", [image, copy])
        let told = try await succeed(
            "/usr/bin/qemu-img", ["compare", "-f", "raw", "-F", "raw", image, rig.uri])
        #expect(told.contains("identical"))
        try await rig.close()
    }

    @Test func `what was written is there after a checkpoint and a new start`() async throws {
        let rig = try await Rig.open(byteCount: 6 << 20)
        let image = rig.path + "/in"
        try await randomFile(image, megabytes: 6)
        try await succeed("/usr/bin/nbdcopy", ["--flush", image, rig.uri])
        rig.thread.post(.checkpoint)
        try await rig.wait("checkpoint") { rig.log.checkpoints == 1 }
        let status = rig.thread.status
        #expect(status.overlayBytes == 0)
        #expect(status.checkpointed == rig.log.last)
        rig.thread.post(.closed)
        try await rig.wait("end") { !FileManager.default.fileExists(atPath: rig.socket) }
        await rig.server.shutdown()

        // The first disk's lock goes with its process; here a copy stands for the next process.
        let next = rig.path + "-next"
        try await succeed("/bin/cp", ["-r", rig.path, next])
        let again = try await Rig.open(at: next, isNew: false)
        try await succeed(
            "/usr/bin/qemu-img", ["compare", "-f", "raw", "-F", "raw", image, again.uri])
        try await again.close()
        try await rig.close()
    }

    @Test func `qemu-io's patterns, zeroes and discards read back as they must`() async throws {
        let rig = try await Rig.open()
        let commands = [
            "write -P 0xab 0 1M", "read -P 0xab 0 1M", "discard 64k 128k", "read -P 0 64k 128k",
            "write -z 512k 100k", "read -P 0 512k 100k", "write -z -u 700k 64k",
            "read -P 0 700k 64k", "write -P 0x11 511k 3k", "read -P 0x11 511k 3k",
            "read -P 0xab 0 64k", "write -f -P 0x77 5M 4k", "flush", "read -P 0x77 5M 4k",
            "write -P 0x55 8M 20M", "read -P 0x55 8M 20M",
        ]
        let told = try await succeed(
            "/usr/bin/qemu-io",
            ["-f", "raw", rig.uri] + commands.flatMap { ["-c", $0] })
        #expect(!told.contains("failed") && !told.contains("Pattern verification"), "\(told)")
        try await rig.close()
    }

    @Test func `the map tells data, zeroes and holes apart`() async throws {
        let rig = try await Rig.open(byteCount: 8 << 20)
        try await succeed(
            "/usr/bin/qemu-io",
            [
                "-f", "raw", rig.uri, "-c", "write -P 1 0 1M", "-c", "write -z 2M 1M", "-c",
                "write -P 1 4M 1M", "-c", "discard 4M 512k", "-c", "flush",
            ])
        func map() async throws -> [[Int]] {
            let text = try await succeed("/usr/bin/nbdinfo", ["--map", "--json", rig.uri])
            let rows = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]]
            return try #require(rows).map { row in
                ["offset", "length", "type"].compactMap { row[$0] as? Int }
            }
        }
        let (k, m) = (1 << 10, 1 << 20)
        let expected = [
            [0, m, 0], [m, m, 3], [2 * m, m, 2], [3 * m, m + 512 * k, 3],
            [4 * m + 512 * k, 512 * k, 0], [5 * m, 3 * m, 3],
        ]
        #expect(try await map() == expected)
        rig.thread.post(.checkpoint)
        try await rig.wait("checkpoint") { rig.log.checkpoints == 1 }
        // The image knows of zeroes no more than that they are allocated.
        #expect(try await map() == expected.map { $0[2] == 2 ? [$0[0], $0[1], 0] : $0 })
        try await rig.close()
    }

    @Test(arguments: [true, false])
    func `fio finds what it wrote over several connections`(isSync: Bool) async throws {
        let rig = try await Rig.open(isSync: isSync)
        let told = try await succeed(
            "/usr/bin/fio",
            [
                "--name=verify", "--ioengine=nbd", "--uri=\(rig.uri)", "--rw=randwrite", "--bs=4k",
                "--size=3M", "--offset_increment=16M", "--numjobs=2", "--iodepth=16",
                "--fsync=32", "--verify=crc32c", "--do_verify=1", "--verify_fatal=1",
            ])
        #expect(told.contains("err= 0"), "\(told)")
        try await rig.close()
    }

    @Test func `requests that an export can't do get the protocol's errors and hurt nobody`()
        async throws
    {
        let rig = try await Rig.open()
        let told = try await shell(
            """
            import errno
            h.set_strict_mode(0)
            h.connect_uri("\(rig.uri)")
            size = h.get_size()
            def name(f):
                try: f()
                except nbd.Error as e: return errno.errorcode[e.errnum]
                return "done"
            big = (32 << 20) + 1
            print(name(lambda: h.pread(512, size)), name(lambda: h.pread(512, 2**63 - 1)),
                  name(lambda: h.pwrite(b"x" * 512, size - 1)), name(lambda: h.trim(512, size)),
                  name(lambda: h.zero(512, size)), name(lambda: h.pread(big, 0)),
                  name(lambda: h.pwrite(bytes(big), 0)), name(lambda: h.pwrite(b"x", 0, 64)),
                  name(lambda: h.pread(0, 0)), name(lambda: h.flush()),
                  name(lambda: h.pwrite(b"y" * 512, size - 512)))
            assert h.pread(512, size - 512) == b"y" * 512
            """)
        #expect(
            told == "EINVAL EINVAL ENOSPC EINVAL ENOSPC EINVAL EINVAL EINVAL EINVAL done done\n")
        try await rig.close()
    }

    @Test func `a flush waits for the commit, on whatever connection the write was answered`()
        async throws
    {
        let rig = try await Rig.open()
        rig.log.hold()
        let marker = rig.path + "/waited"
        async let told = shell(
            """
            import time
            other = nbd.NBD()
            h.connect_uri("\(rig.uri)")
            other.connect_uri("\(rig.uri)")
            h.pwrite(b"z" * 4096, 0)
            assert other.pread(4096, 0) == b"z" * 4096
            cookie = other.aio_flush()
            end = time.time() + 0.4
            while time.time() < end: other.poll(50)
            print(other.aio_command_completed(cookie))
            open("\(marker)", "w").close()
            while not other.aio_command_completed(cookie): other.poll(1000)
            print("done")
            """)
        try await rig.wait("the flush was held") { FileManager.default.fileExists(atPath: marker) }
        rig.log.release()
        #expect(try await told == "False\ndone\n")
        try await rig.close()
    }

    @Test func `an async volume's flush does not wait for the commit`() async throws {
        let rig = try await Rig.open(isSync: false)
        rig.log.hold()
        let told = try await shell(
            """
            h.connect_uri("\(rig.uri)")
            h.pwrite(b"z" * 4096, 0)
            h.flush()
            print("done")
            """)
        #expect(told == "done\n")
        try await rig.close()
    }

    @Test func `a generation that ends drops its clients and its socket, and the next has both`()
        async throws
    {
        let rig = try await Rig.open()
        rig.log.hold()
        let marker = rig.path + "/ready"
        async let told = shell(
            """
            h.connect_uri("\(rig.uri)")
            h.pwrite(b"z" * 4096, 0)
            cookie = h.aio_flush()
            open("\(marker)", "w").close()
            try:
                while not h.aio_command_completed(cookie): h.poll(1000)
                print("answered")
            except nbd.Error as e: print(e.errno)
            try:
                h.pread(512, 0)
                print("served")
            except nbd.Error as e: print("gone")
            """)
        try await rig.wait("client") { FileManager.default.fileExists(atPath: marker) }
        try await rig.wait("flush") { rig.requestsPosted.load(ordering: .relaxed) >= 2 }
        rig.thread.post(.closed)
        #expect(try await told == "ESHUTDOWN\ngone\n")
        try await rig.wait("socket") { !FileManager.default.fileExists(atPath: rig.socket) }
        #expect(rig.server.status.isEmpty)
        rig.thread.post(.opened(Epoch(2), until: .distantFuture))
        try await rig.waitForSocket()
        let again = try await shell(
            """
            h.connect_uri("\(rig.uri)")
            print(h.pread(2, 0))
            """)
        #expect(again.contains("x00"))
        try await rig.close()
    }

    @Test func `with the lease lapsed a read waits, and is refused if the node acts no more`()
        async throws
    {
        let rig = try await Rig.open()
        let first = rig.server.status.first?.generation
        rig.thread.post([.closed, .opened(Epoch(2), until: Rig.now + .milliseconds(500))])
        try await rig.waitForSocket(after: first)
        let marker = rig.path + "/ready"
        async let told = shell(
            """
            import time
            h.connect_uri("\(rig.uri)")
            time.sleep(0.6)
            buffer = nbd.Buffer(512)
            cookie = h.aio_pread(buffer, 0)
            end = time.time() + 0.4
            while time.time() < end: h.poll(50)
            print(h.aio_command_completed(cookie))
            open("\(marker)", "w").close()
            try:
                while not h.aio_command_completed(cookie): h.poll(1000)
                print("served")
            except nbd.Error as e: print(e.errno)
            """)
        try await rig.wait("client") { FileManager.default.fileExists(atPath: marker) }
        rig.thread.post(.closed)
        #expect(try await told == "False\nESHUTDOWN\n")
        try await rig.close()
    }

    @Test func `draining lets what was taken finish and refuses the rest`() async throws {
        let rig = try await Rig.open()
        rig.log.hold()
        let marker = rig.path + "/ready"
        async let told = shell(
            """
            h.connect_uri("\(rig.uri)")
            h.pwrite(b"z" * 4096, 0)
            cookie = h.aio_flush()
            h.poll(10)
            open("\(marker)", "w").close()
            while not h.aio_command_completed(cookie): h.poll(1000)
            try: h.pread(512, 0)
            except nbd.Error as e: print(e.errno)
            """)
        try await rig.wait("client") { FileManager.default.fileExists(atPath: marker) }
        try await rig.wait("flush") { rig.requestsPosted.load(ordering: .relaxed) >= 2 }
        rig.thread.post(.drain)
        #expect(rig.log.drains == 0)
        rig.log.release()
        #expect(try await told == "ESHUTDOWN\n")
        #expect(rig.log.drains == 1)
        try await rig.close()
    }
}
