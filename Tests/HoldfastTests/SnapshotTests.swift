import Admin
import Backup
import Control
import Foundation
import Logging
import Testing

@testable import Holdfast

@Suite("Snapshots on the command line") struct SnapshotCommandTests {
    @Test func `those that ended say why, and the room is told`() {
        func volume(_ ended: String? = nil) -> SnapshotReport.Volume {
            SnapshotReport.Volume(name: "db", byteCount: 1 << 30, ended: ended)
        }
        func report(_ name: String, _ volume: SnapshotReport.Volume, _ ended: String? = nil)
            -> SnapshotReport
        {
            SnapshotReport(
                name: name, index: 7, takenAt: 1_700_000_000, volumes: [volume],
                keptBytes: 8_192, ended: ended)
        }
        var all = SnapshotsReport(
            roomBytes: 1 << 30, usedBytes: 8_192,
            snapshots: [
                report("a", volume()), report("b", volume("it was deleted")),
                report("c", volume(), "the room was full"),
            ])
        let lines = SnapshotCommand.List.lines(of: all).map(\.text)
        #expect(lines.count == 5)
        #expect(lines[1].contains("8 KiB") && lines[1].hasSuffix("held"))
        #expect(lines[2].hasSuffix("db ended: it was deleted"))
        #expect(lines[3].hasSuffix("ended: the room was full"))
        #expect(lines[4] == "8 KiB of 1 GiB of room in use")
        all = SnapshotsReport(roomBytes: 0, usedBytes: 0, snapshots: [])
        #expect(
            SnapshotCommand.List.lines(of: all).map(\.text) == [
                "there are no snapshots; this node has no room for snapshots"
            ])
    }

    @Test func `what may hold anything is read of the node, and the rest is zeros`() async throws {
        let path = "/tmp/hf-snapshot-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = AdminServer(
            path: path + "/admin.sock", door: SampleDoor(report: Samples.healthy), logger: logger)
        try await server.start()
        let client = AdminClient(path: path + "/admin.sock")
        let shape = SnapshotShapeReport(
            snapshot: 5, volume: 1, index: 7, byteCount: 2 << 20,
            held: [4_096, 1_000_000, 1_500_000, 1_600_000])
        let base = SnapshotBase(shape, of: client)
        let kinds = base.extents(0..<2 << 20, countMax: 9).map(\.kind)
        #expect(kinds == [.hole, .data, .hole, .data, .hole])
        #expect(base.extents(5_000..<1_200_000, countMax: 1).map(\.range) == [5_000..<1_000_000])
        // It waits for the node: not on a thread that the node's answer needs.
        let (all, part) = try await withCheckedThrowingContinuation { done in
            DispatchQueue(label: "test").async {
                done.resume(
                    with: Result {
                        (try base.read(0..<2 << 20), try base.read(999_990..<1_000_010))
                    })
            }
        }
        #expect(all.count == 2 << 20)
        for (offset, byte) in all.enumerated() {
            let isHeld =
                (4_096..<1_000_000).contains(offset) || (1_500_000..<1_600_000).contains(offset)
            guard byte == (isHeld ? UInt8(truncatingIfNeeded: offset) : 0) else {
                Issue.record("byte \(offset) is \(byte)")
                break
            }
        }
        #expect(part == Array(all[999_990..<1_000_010]))
        // Another snapshot by now.
        var gone = shape
        gone.snapshot = 6
        let other = SnapshotBase(gone, of: client)
        let failed: String? = await withCheckedContinuation { done in
            DispatchQueue(label: "test").async {
                do {
                    _ = try other.read(8_192..<12_288)
                    done.resume(returning: nil)
                } catch { done.resume(returning: "\(error)") }
            }
        }
        #expect(failed?.contains("there no more") == true)
        await server.shutdown()
        try FileManager.default.removeItem(atPath: path)
    }

    @Test func `stretches that are too many are joined, and none is lost`() {
        let count = SnapshotShapeReport.stretchesMax + 3
        let ranges = (0..<count).map { UInt64($0) * 10..<UInt64($0) * 10 + 5 }
        let joined = SnapshotShapeReport.joined(ranges)
        #expect(joined.count <= 2 * SnapshotShapeReport.stretchesMax)
        #expect(joined.first == 0 && joined.last == ranges.last?.upperBound)
        #expect(joined[1] == 15 && joined[2] == 20)
        #expect(SnapshotShapeReport.joined([3..<7, 9..<12]) == [3, 7, 9, 12])
        #expect(SnapshotShapeReport.joined([]) == [])
    }

    @Test func `a name is short and plain`() {
        for name in ["a", "before-upgrade.2", "0_x", String(repeating: "a", count: 64)] {
            #expect(SnapshotRequest.isLawful(name), "\(name)")
        }
        for name in ["", "-a", ".a", "A", "a b", "a/b", "é", String(repeating: "a", count: 65)] {
            #expect(!SnapshotRequest.isLawful(name), "\(name)")
        }
    }
}
