import Disk
import Dispatch
import Glibc
import Journal
import JournalCore
import Mesh
import Record
import SimulatedDisk
import NIOConcurrencyHelpers
import Testing

private let group = GroupID(3)

private func entry(_ index: UInt64) -> Entry {
    Draft(.write, epoch: Epoch(1), payload: [1, 2, 3])
        .sealed(
            at: Position(index: LogIndex(index), term: Term(1)), group: group, time: .zero)
}

private func directory() -> String {
    let path = "/tmp/holdfast-journal-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    _ = unsafe mkdir(path, 0o700)
    return path
}

private func opened<D: Disk>(_ disk: D) throws -> (JournalCore<D>, Recovered) {
    var disk = disk
    let settings = JournalCore<D>.Settings(
        cluster: ClusterID(high: 1, low: 2), group: group, segmentByteCount: 64 << 10)
    return try JournalCore.open(&disk, settings: settings, random: SeededRandom(seed: 1))
}

@Suite struct JournalTests {
    @Test func `a second opener of a directory is refused until the first is gone`() throws {
        let path = directory()
        var first = try FileDisk(path)
        let refused = #expect(throws: DiskError.self) { try FileDisk(path) }
        #expect(refused?.cause == .system(EWOULDBLOCK))
        first.shutDown()
        var second = try FileDisk(path)
        second.shutDown()
        _ = unsafe rmdir(path)
    }

    @Test func `a journal in real files is the same after a restart`() throws {
        let path = directory()
        var (journal, _) = try opened(FileDisk(path))
        try journal.append([LogChange(entries: [entry(1), entry(2)])])
        let position = Position(index: LogIndex(1), term: Term(1))
        try journal.append([LogChange(base: Base(position: position, contents: [7, 8]))])
        var disk = journal.disk
        disk.shutDown()
        var (again, recovered) = try opened(FileDisk(path))
        #expect(recovered.base == Base(position: position, contents: [7, 8]))
        let read = try again.entries(from: LogIndex(2), through: LogIndex(2), bytesMax: 1)
        #expect(read == [entry(2)])
        disk = again.disk
        for name in try disk.list() { try disk.remove(name) }
        disk.shutDown()
        _ = unsafe rmdir(path)
    }

    /// The first `saved` is held in its callback while ten more changes come in: they must share
    /// one batch.
    @Test func `changes that wait for the disk go down together`() throws {
        let (core, _) = try opened(SimulatedDisk())
        let told = NIOLockedValueBox<[UInt64]>([])
        let (isFirst, goOn, done) = (
            DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
        )
        let thread = JournalThread(core) { event in
            guard case .saved(let through) = event else { return }
            told.withLockedValue { $0.append(through) }
            if through == 1 {
                isFirst.signal()
                goOn.wait()
            } else {
                done.signal()
            }
        }
        #expect(thread.submit(1, LogChange(entries: [entry(1)])) == .taken)
        isFirst.wait()
        for number in 2...11 as ClosedRange<UInt64> {
            #expect(thread.submit(number, LogChange(entries: [entry(number)])) == .taken)
        }
        goOn.signal()
        done.wait()
        #expect(told.withLockedValue { $0 } == [1, 11])
    }

    @Test func `a full queue takes nothing more, and a stopped journal says so instead`() throws {
        var disk = SimulatedDisk()
        disk.failingSync = 1
        let (core, _) = try opened(disk)
        let (isHeld, goOn, failed) = (
            DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
        )
        let thread = JournalThread(core) { event in
            if case .failed = event { failed.signal() }
        }
        thread.read(from: LogIndex(1), through: LogIndex(1), bytesMax: 1) { _ in
            isHeld.signal()
            goOn.wait()
        }
        isHeld.wait()
        let most = UInt64(JournalThread<SimulatedDisk>.waitingChangesMax)
        for number in 1...most {
            #expect(thread.submit(number, LogChange(entries: [entry(number)])) == .taken)
        }
        #expect(thread.submit(most + 1, LogChange(entries: [entry(most + 1)])) == .full)
        goOn.signal()
        failed.wait()
        #expect(thread.submit(most + 1, LogChange(entries: [entry(most + 1)])) == .stopped)
    }
}
