import Disk
import Foundation
import Journal
import Mesh
import Record
import NIOConcurrencyHelpers
import Testing
import VolumeCore
import Volumes

/// What a volumes' queue said, and the lease checks that came with it.
private final class Diary: Sendable {
    let told = NIOLockedValueBox<[VolumeEvent]>([])
    let served = NIOLockedValueBox<[(event: ClientEvent, check: LeaseCheck)]>([])

    func wait<T>(_ find: () -> T?) async throws -> T {
        let end = ContinuousClock.now + .seconds(20)
        while true {
            if let found = find() { return found }
            try #require(ContinuousClock.now < end, "never said")
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    func reply(_ number: UInt64) async throws -> (reply: VolumeReply, check: LeaseCheck) {
        try await wait {
            served.withLockedValue { served in
                for (event, check) in served {
                    if case .reply(RequestID(ConnectionID(1), number), let reply) = event {
                        return (reply, check)
                    }
                }
                return nil
            }
        }
    }

    var generation: ExportGeneration? {
        served.withLockedValue { served in
            for case (.opened(_, _, let generation, _), _) in served.reversed() {
                return generation
            }
            return nil
        }
    }
    var ends: Int {
        served.withLockedValue {
            $0.filter { if case .ended = $0.event { true } else { false } }.count
        }
    }
    func cut(_ ticket: CutTicket) -> Result<BegunCut, CutRefused>? {
        told.withLockedValue { told in
            for case .cutBegun(ticket, let begun) in told { return begun }
            return nil
        }
    }
    func snapshot(_ ticket: CutTicket) -> Result<SnapshotInfo, SnapshotRefused>? {
        told.withLockedValue { told in
            for case .snapshotTaken(ticket, let taken) in told { return taken }
            return nil
        }
    }
    var failure: DiskError? {
        told.withLockedValue { told in
            for case .failed(let error) in told { return error }
            return nil
        }
    }
    var checkpoints: Int {
        told.withLockedValue {
            $0.filter { if case .checkpointed = $0 { true } else { false } }.count
        }
    }
}

@Suite("The volumes' queue")
final class VolumeThreadTests {
    private let path = "/tmp/hf-thread-\(UUID().uuidString.prefix(8))"

    deinit { try? FileManager.default.removeItem(atPath: path) }

    private func thread(
        _ diary: Diary, snapshotRoomByteCount: UInt64 = 0,
        sync: @escaping @Sendable () throws(DiskError) -> Void = {}
    ) async throws -> VolumeThread<FileDisk> {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        var limits = VolumeLimits()
        limits.snapshotRoomByteCount = snapshotRoomByteCount
        let thread = VolumeThread(
            try VolumeCore(disk: try FileDisk(path), limits: limits), clock: { Rig.now },
            prepareSync: { _, _ throws(DiskError) in sync },
            serve: { events, check in
                diary.served.withLockedValue { served in served += events.map { ($0, check) } }
            },
            tell: { event in diary.told.withLockedValue { $0.append(event) } })
        let entry = Draft(.command, epoch: Epoch(1)).sealed(
            at: Position(index: LogIndex(1), term: Term(1)), group: GroupID(1), time: .zero)
        thread.post([
            .apply([
                Ruled(
                    entry, .created(VolumeID(1), name: "v", byteCount: 1 << 20, isSync: true))
            ]),
            .opened(Epoch(1), until: .distantFuture),
        ])
        _ = try await diary.wait { diary.generation }
        return thread
    }

    private func ask(
        _ thread: VolumeThread<FileDisk>, _ diary: Diary, _ number: UInt64,
        _ request: VolumeRequest
    ) {
        thread.post(
            .request(
                RequestID(ConnectionID(1), number), VolumeID(1), diary.generation ?? .none,
                request))
    }

    private func apply(
        _ thread: VolumeThread<FileDisk>, _ diary: Diary, _ number: UInt64, at offset: UInt64,
        _ byte: UInt8
    ) {
        let write = VolumeWrite(
            volume: VolumeID(1), offset: offset, generation: diary.generation ?? .none,
            number: number, data: [UInt8](repeating: byte, count: 20_000)[...])
        let entry = write.draft.sealed(
            at: Position(index: LogIndex(number + 1), term: Term(1)), group: GroupID(1),
            time: .zero)
        thread.post(.apply([Ruled(entry, .accepted)]))
    }

    @Test func `a reply of a tenure that has ended fails its check, also under the next tenure`()
        async throws
    {
        let diary = Diary()
        let thread = try await thread(diary)
        ask(thread, diary, 1, .read(offset: 0, byteCount: 4))
        let first = try await diary.reply(1)
        #expect(first.reply == .data([0, 0, 0, 0]))
        #expect(first.check.holds)
        thread.post(.closed)
        #expect(!first.check.holds)
        thread.post(.opened(Epoch(2), until: .distantFuture))
        #expect(!first.check.holds)
        _ = try await diary.wait { diary.generation.flatMap { $0.epoch == Epoch(2) ? $0 : nil } }
        ask(thread, diary, 2, .read(offset: 0, byteCount: 4))
        #expect(try await diary.reply(2).check.holds)
    }

    @Test func `what the log begins behind ends a tenure, and the next one's replies leave`()
        async throws
    {
        let diary = Diary()
        let thread = try await thread(diary)
        ask(thread, diary, 1, .read(offset: 0, byteCount: 4))
        let first = try await diary.reply(1)
        thread.post(.behind(.zero))
        #expect(!first.check.holds)
        thread.post(.opened(Epoch(2), until: .distantFuture))
        _ = try await diary.wait { diary.generation.flatMap { $0.epoch == Epoch(2) ? $0 : nil } }
        ask(thread, diary, 2, .read(offset: 0, byteCount: 4))
        #expect(try await diary.reply(2).check.holds)
    }

    @Test func `a check fails once the lease has run out`() async throws {
        let diary = Diary()
        let thread = try await thread(diary)
        let until = Rig.now + .milliseconds(300)
        // In one go, so that nothing but the queue comes between the opening and the request.
        thread.post([
            .closed, .opened(Epoch(2), until: until),
            .request(
                RequestID(ConnectionID(1), 1), VolumeID(1),
                ExportGeneration(epoch: Epoch(2), opening: 1), .read(offset: 0, byteCount: 4)),
        ])
        let check = try await diary.reply(1).check
        while Rig.now < until { try await Task.sleep(for: .milliseconds(5)) }
        #expect(!check.holds)
    }

    @Test func `while a checkpoint syncs the images, requests are served`() async throws {
        let diary = Diary()
        let gate = DispatchSemaphore(value: 0)
        let thread = try await thread(diary) { () throws(DiskError) in gate.wait() }
        thread.post(.checkpoint)
        ask(thread, diary, 1, .write(offset: 0, [1], isDurable: false))
        ask(thread, diary, 2, .read(offset: 0, byteCount: 1))
        #expect(try await diary.reply(2).reply == .data([1]))
        // One that is under way will do for both.
        thread.post(.checkpoint)
        ask(thread, diary, 3, .read(offset: 0, byteCount: 1))
        _ = try await diary.reply(3)
        #expect(diary.checkpoints == 0)
        gate.signal()
        _ = try await diary.wait { diary.checkpoints == 1 ? true : nil }
        #expect(thread.status.checkpointed == LogIndex(1))
    }

    @Test func `a cut gives what there was when it began, and the log and clients go on`()
        async throws
    {
        let diary = Diary()
        let thread = try await thread(diary)
        func apply(_ number: UInt64, at offset: UInt64, _ byte: UInt8) {
            self.apply(thread, diary, number, at: offset, byte)
        }
        func read(_ offset: UInt64, _ count: Int) async -> Result<[UInt8], CutRefused> {
            await withCheckedContinuation { done in
                thread.readCut(VolumeID(1), [offset..<offset + UInt64(count)]) { read in
                    done.resume(returning: read.map { $0.flatMap(\.self) })
                }
            }
        }
        #expect(await read(0, 16_384) == .failure(.none))
        apply(1, at: 0, 7)
        // In the order of posting: all that was applied before is in it, and nothing behind.
        thread.post([.beginCut(CutTicket(4), since: nil)])
        apply(2, at: 0, 8)
        apply(3, at: 50_000, 9)
        let begun = try await diary.wait { diary.cut(CutTicket(4)) }
        #expect(try begun.get().index == LogIndex(2))
        #expect(try begun.get().volumes.map(\.name) == ["v"])
        ask(thread, diary, 1, .read(offset: 19_999, byteCount: 2))
        #expect(try await diary.reply(1).reply == .data([8, 0]))
        func read(_ parts: [Range<UInt64>]) async -> Result<[[UInt8]], CutRefused> {
            await withCheckedContinuation { done in
                thread.readCut(VolumeID(1), parts) { done.resume(returning: $0) }
            }
        }
        // Several parts at once, in the order in which they are asked for; one that can't be had fails all.
        let parts = try await read([32_768..<65_536, 0..<16_384]).get()
        #expect(
            parts == [[UInt8](repeating: 0, count: 32_768), [UInt8](repeating: 7, count: 16_384)])
        #expect(await read([65_536..<81_920, 0..<16_384]) == .failure(.readBefore))
        let then = try await read(16_384, 16_384).get()
        #expect(then[..<3_616].allSatisfy { $0 == 7 } && then[3_616...].allSatisfy { $0 == 0 })
        thread.post(.endCut)
        #expect(await read(0, 16_384) == .failure(.none))
    }

    @Test func `a snapshot holds what was applied before it was asked for`() async throws {
        let diary = Diary()
        let thread = try await thread(diary, snapshotRoomByteCount: 1 << 20)
        apply(thread, diary, 1, at: 0, 7)
        let order = SnapshotOrder(id: SnapshotID(9), name: "a", time: .zero)
        thread.post([.takeSnapshot(CutTicket(4), order)])
        apply(thread, diary, 2, at: 0, 8)
        let taken = try await diary.wait { diary.snapshot(CutTicket(4)) }
        #expect(try taken.get().index == LogIndex(2))
        let bytes = await withCheckedContinuation { done in
            thread.ask(
                { exports throws(DiskError) in
                    try exports.readSnapshot(SnapshotID(9), VolumeID(1), 0..<4_096)
                }, reply: { done.resume(returning: $0) })
        }
        #expect(try bytes?.get().allSatisfy { $0 == 7 } == true)
        #expect(thread.status.snapshots.map(\.name) == ["a"])
        #expect(thread.status.snapshotRoom.usedByteCount > 0)
    }

    @Test func `a failed sync ends all exports and is told once, and nothing is taken after it`()
        async throws
    {
        let diary = Diary()
        let error = DiskError(.sync, "volume-1.image", .system(EIO))
        let thread = try await thread(diary) { () throws(DiskError) in throw error }
        thread.post(.checkpoint)
        #expect(try await diary.wait { diary.failure } == error)
        #expect(diary.ends == 1)
        #expect(!thread.post([.checkpoint]))
        #expect(diary.checkpoints == 0)
    }

    @Test func `proposals of one burst go out together and in order`() async throws {
        let diary = Diary()
        let thread = try await thread(diary)
        let generation = try #require(diary.generation)
        thread.post(
            (1...50).map { number in
                .request(
                    RequestID(ConnectionID(1), number), VolumeID(1), generation,
                    .write(offset: number, [UInt8(number)], isDurable: false))
            })
        _ = try await diary.reply(50)
        let proposals = diary.told.withLockedValue { told in
            told.compactMap { if case .propose(let drafts, _) = $0 { drafts } else { nil } }
        }
        #expect(proposals.count == 1)
        let numbers = try proposals.flatMap(\.self).map { draft in
            try VolumeWrite(
                parsing: draft.sealed(
                    at: Position(index: LogIndex(1), term: Term(1)), group: GroupID(1), time: .zero)
            ).number
        }
        #expect(numbers == Array(1...50))
    }

    @Test func `files are synced by copies of their descriptors, even after they were closed`()
        async throws
    {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        var disk = try FileDisk(path)
        let file = try disk.open("a", create: true)
        try disk.write(file, at: 0, [[1, 2, 3]])
        let sync = try disk.syncing([file])
        disk.close(file)
        try sync()
        #expect(throws: DiskError.self) { try disk.syncing([file]) }
    }
}
