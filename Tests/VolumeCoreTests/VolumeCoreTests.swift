import Disk
import Mesh
import Record
import Testing
import VolumeCore

@Suite("What a volume takes and refuses")
struct VolumeCoreTests {
    private let volume = VolumeID(1)
    private let generation = ExportGeneration(epoch: Epoch(2), opening: 1)

    private func core(pending: Int = 1 << 20) throws -> VolumeCore<MemoryDisk> {
        var core = try VolumeCore(
            disk: MemoryDisk(), limits: VolumeLimits(pendingByteCountMax: pending))
        #expect(try core.create(volume, name: "a", byteCount: 1 << 20) == nil)
        #expect(core.open(volume, generation: generation) == nil)
        return core
    }

    private func entry(_ write: VolumeWrite, _ index: UInt64, epoch: Epoch = Epoch(2)) -> Entry {
        Draft(.write, epoch: epoch, payload: write.encoded).sealed(
            at: Position(index: LogIndex(index), term: Term(1)), group: GroupID(1), time: .zero)
    }

    private func write(_ number: UInt64, byte: UInt8 = 9) -> VolumeWrite {
        VolumeWrite(
            volume: volume, offset: 0, generation: generation, number: number, data: [byte])
    }

    @Test func `a record of an epoch that has ended changes nothing`() throws {
        var core = try core()
        let applied = try core.apply(entry(write(1), 1, epoch: Epoch(1)), epoch: Epoch(2))
        #expect(applied == .refused(.staleEpoch(Epoch(1))))
        #expect(try core.readCommitted(volume, at: 0, count: 1).get() == [0])
        #expect(core.applied == LogIndex(1))
    }

    @Test func `a repeated proposal applies once, and after a gap nothing applies`() throws {
        var core = try core()
        #expect(
            try core.apply(entry(write(1), 1), epoch: Epoch(2))
                == .applied(volume, generation, number: 1))
        #expect(
            try core.apply(entry(write(2, byte: 8), 2), epoch: Epoch(2))
                == .applied(volume, generation, number: 2))
        #expect(try core.apply(entry(write(1), 3), epoch: Epoch(2)) == .nothing)
        #expect(
            try core.apply(entry(write(4), 4), epoch: Epoch(2))
                == .refused(.numberGap(expected: 3, got: 4)))
        #expect(try core.readCommitted(volume, at: 0, count: 1).get() == [8])
    }

    @Test func `the number survives a checkpoint, so a late repetition is still known`() throws {
        var core = try core()
        _ = try core.apply(entry(write(1), 1), epoch: Epoch(2))
        _ = try core.apply(entry(write(2, byte: 8), 2), epoch: Epoch(2))
        try core.checkpoint()
        var again = try VolumeCore(disk: core.disk)
        #expect(try again.apply(entry(write(1), 3), epoch: Epoch(2)) == .nothing)
        #expect(try again.readCommitted(volume, at: 0, count: 1).get() == [8])
    }

    @Test func `past the bound the client waits until a commit`() throws {
        var core = try core(pending: 10_000)
        guard
            case .queued(let writes) = core.queue(
                write: [UInt8](repeating: 1, count: 8_000), to: volume, at: 0,
                generation: generation)
        else {
            Issue.record("the first write was not taken")
            return
        }
        let more = [UInt8](repeating: 2, count: 4_000)
        #expect(core.queue(write: more, to: volume, at: 0, generation: generation) == .wait)
        _ = try core.apply(entry(writes[0], 1), epoch: Epoch(2))
        #expect(core.pendingBytes == 0)
        #expect(core.queue(write: more, to: volume, at: 0, generation: generation) != .wait)
    }

    @Test func `a generation that ended takes and gives nothing, and never opens again`() throws {
        var core = try core()
        _ = core.queue(write: [5], to: volume, at: 0, generation: generation)
        #expect(core.close(volume).map(\.data) == [[5]])
        #expect(
            core.queue(write: [6], to: volume, at: 0, generation: generation)
                == .refused(.closed))
        #expect(
            try core.read(volume, at: 0, count: 1, generation: generation) == .failure(.closed))
        #expect(core.open(volume, generation: generation) == .staleGeneration)
        let next = ExportGeneration(epoch: Epoch(2), opening: 2)
        #expect(core.open(volume, generation: next) == nil)
        #expect(try core.read(volume, at: 0, count: 1, generation: next) == .success([0]))
        #expect(core.pendingBytes == 0)
    }

    @Test func `a request past the end is refused whole`() throws {
        var core = try core()
        for offset: UInt64 in [(1 << 20) - 1, .max] {
            #expect(
                core.queue(write: [1, 2], to: volume, at: offset, generation: generation)
                    == .refused(.outOfRange))
            #expect(
                core.queue(
                    .trim, on: volume, at: offset, byteCount: 2, generation: generation)
                    == .refused(.outOfRange))
            #expect(
                try core.read(volume, at: offset, count: 2, generation: generation)
                    == .failure(.outOfRange))
        }
    }

    @Test func `a record past the end of its volume is refused on every replica`() throws {
        var core = try core()
        let write = VolumeWrite(
            volume: volume, offset: 1 << 20, generation: generation, number: 1, data: [1])
        #expect(
            try core.apply(entry(write, 1), epoch: Epoch(2)) == .refused(.outOfRange))
    }

    @Test func `a deleted volume's image outlives the crash before its checkpoint`() throws {
        var core = try core()
        try core.checkpoint()
        _ = core.close(volume)
        #expect(core.delete(volume) == nil)
        #expect(try VolumeCore(disk: core.disk).list.map(\.name) == ["a"])
        try core.checkpoint()
        #expect(try VolumeCore(disk: core.disk).list.isEmpty)
        #expect(core.disk.names.keys.filter { $0.hasSuffix(".image") }.isEmpty)
    }

    @Test func `with one state slot damaged the other serves, with both none is guessed`() throws {
        var core = try core()
        _ = try core.apply(entry(write(1), 1), epoch: Epoch(2))
        try core.checkpoint()
        _ = try core.apply(entry(write(2), 2), epoch: Epoch(2))
        try core.checkpoint()
        var disk = core.disk
        let newest = try #require(disk.names["volumes.state.0"])
        disk.files[newest].bytes[20] ^= 1
        #expect(try VolumeCore(disk: disk).checkpointed == LogIndex(1))
        let other = try #require(disk.names["volumes.state.1"])
        disk.files[other].bytes[20] ^= 1
        #expect(throws: VolumeRecoveryRefused.self) { try VolumeCore(disk: disk) }
    }

    @Test func `a write's record reads back, and malformed ones are refused`() throws {
        for write in [
            write(3),
            VolumeWrite(
                zeroing: .zeroes, volume: volume, offset: 4, byteCount: 5, keepsAllocated: true,
                generation: generation, number: 6),
            VolumeWrite(
                zeroing: .trim, volume: volume, offset: 4, byteCount: 5, keepsAllocated: false,
                generation: generation, number: 6),
        ] {
            #expect(try VolumeWrite(parsing: entry(write, 1)) == write)
        }
        let good = write(1).encoded
        for (place, byte) in [(36, UInt8(9)), (37, 1), (38, 1), (32, 2), (0, 1)] {
            var bytes = good
            bytes[place] = byte
            if place == 0 { bytes.removeLast(2) }
            let entry = Draft(.write, epoch: Epoch(1), payload: bytes).sealed(
                at: Position(index: LogIndex(1), term: Term(1)), group: GroupID(1), time: .zero)
            #expect(throws: VolumeWriteRefused.self) { try VolumeWrite(parsing: entry) }
        }
    }

    @Test func `a request longer than a record is split and read back whole`() throws {
        var core = try core(pending: 4 << 20)
        #expect(try core.create(VolumeID(2), name: "b", byteCount: 4 << 20) == nil)
        #expect(core.open(VolumeID(2), generation: generation) == nil)
        let data = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 / 5) }
        guard
            case .queued(let writes) = core.queue(
                write: data, to: VolumeID(2), at: 9, generation: generation)
        else {
            Issue.record("not taken")
            return
        }
        #expect(writes.map(\.number) == [1, 2, 3, 4])
        for (place, write) in writes.enumerated() {
            _ = try core.apply(entry(write, UInt64(place + 1)), epoch: Epoch(2))
        }
        try core.checkpoint()
        let read = try core.read(VolumeID(2), at: 9, count: 3 << 20, generation: generation)
        #expect(try read.get() == data)
    }
}
