import Foundation
import Journal
import Mesh
import Record
import Testing

@testable import VolumeCore

/// On a real file system, for cells get longer beyond 64 GiB only.
@Suite("Volumes that grow to another length of cells") struct LongGrowthTests {
    private static let id = VolumeID(1)
    private static let (old, new) = (UInt64(64 << 30) - 4_096, UInt64(300 << 30))
    /// The new cells' length: what is looked at around each write.
    private static let cell: UInt64 = 512 << 10

    private final class Folder {
        let path = "/tmp/hfg-\(UUID().uuidString.prefix(8))"
        init() throws {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    private struct Log {
        private let folder: Folder
        var core: VolumeCore<FileDisk>
        private(set) var entries: [(entry: Entry, grownTo: UInt64?)] = []
        private(set) var writes: [(range: Range<UInt64>, byte: UInt8)] = []
        private var length = old
        private static let limits = VolumeLimits(overlayByteCountMax: 1 << 20)

        init() throws {
            folder = try Folder()
            core = try VolumeCore(disk: FileDisk(folder.path), limits: Self.limits)
            try #require(try core.create(id, name: "v", byteCount: old) == nil)
            try core.checkpoint()
        }

        private mutating func add(_ draft: Draft, grownTo: UInt64? = nil) throws {
            let index = LogIndex(UInt64(entries.count) + 1)
            let entry = draft.sealed(
                at: Position(index: index, term: Term(1)), group: GroupID(1), time: .zero)
            entries.append((entry, grownTo))
            try apply(entries[entries.count - 1])
        }

        private mutating func apply(_ next: (entry: Entry, grownTo: UInt64?)) throws {
            guard let length = next.grownTo else {
                _ = try core.apply(next.entry, epoch: Epoch(2))
                return
            }
            try #require(try core.grow(id, to: length) == nil)
            core.skip(next.entry.index)
        }

        mutating func grow() throws {
            length = new
            try add(Draft(.command, epoch: Epoch(2)), grownTo: new)
        }

        mutating func write(_ random: inout SeededRandom) throws {
            let start = random.next() % (length - 40_960)
            let data = [UInt8](
                repeating: UInt8(truncatingIfNeeded: random.next()) | 1,
                count: Int(1 + random.next() % 40_960))
            writes.append((start..<start + UInt64(data.count), data[0]))
            let write = VolumeWrite(
                volume: id, offset: start,
                generation: ExportGeneration(epoch: Epoch(2), opening: 1),
                number: UInt64(writes.count), data: data[...])
            try add(write.draft)
        }

        /// A process ends without a word, and another one recovers.
        mutating func restart() throws {
            core.disk.shutDown()
            core = try VolumeCore(
                disk: FileDisk(folder.path), limits: Self.limits,
                logEnd: LogIndex(UInt64(entries.count)))
            for next in entries where next.entry.index > core.applied { try apply(next) }
        }

        mutating func expectWhole(sourceLocation: SourceLocation = #_sourceLocation) throws {
            for (range, _) in writes {
                let start = range.lowerBound / cell * cell
                let end = min((range.upperBound / cell + 1) * cell, length)
                var wanted = [UInt8](repeating: 0, count: Int(end - start))
                for (other, byte) in writes {
                    let part = other.clamped(to: start..<end)
                    if part.isEmpty { continue }
                    let place = Int(part.lowerBound - start)..<Int(part.upperBound - start)
                    wanted.replaceSubrange(place, with: repeatElement(byte, count: place.count))
                }
                let read = try core.readCommitted(id, at: start, count: wanted.count).get()
                #expect(read == wanted, "around \(range)", sourceLocation: sourceLocation)
            }
            #expect(core.damagedBlockCount == 0, sourceLocation: sourceLocation)
        }
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `all that was written is there, and all else reads zero`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var log = try Log()
        for _ in 0..<20 { try log.write(&random) }
        if seed > 1 { try log.core.checkpoint() }
        for _ in 0..<10 { try log.write(&random) }
        try log.grow()
        try log.expectWhole()
        for _ in 0..<10 { try log.write(&random) }
        try log.restart()
        try log.expectWhole()
        if seed > 2 { try log.core.checkpoint() } else { try log.core.fold(bytesMax: 1 << 20) }
        try log.expectWhole()
        try log.core.checkpoint()
        try log.restart()
        try log.expectWhole()
    }
}
