import Disk
import Mesh
import Record
import SimulatedDisk
import Testing

@testable import VolumeCore

@Suite("A replica that the log no longer reaches")
struct ResyncTests {
    @Test func `an empty disk becomes a replica from a source, and from the log behind that`()
        throws
    {
        var pair = try Pair(seed: 1)
        for _ in 0..<200 { try pair.change() }
        try pair.forget()
        #expect(pair.b.core.isAsking)
        try pair.finish()
        try pair.expectEqual()
        #expect(pair.completions == 1)
        // What it became outlives a crash, and needs no second resync.
        try pair.crash()
        try pair.finish()
        try pair.expectEqual()
    }

    @Test func `only what changed since its last checkpoint is copied`() throws {
        var pair = try Pair(seed: 2, cells: 40)
        try pair.create()
        let volume = pair.volumes[0]
        try pair.write(volume, 0..<pair.byteCount)
        try pair.follow(.max)
        _ = try pair.giveB(.checkpoint)
        _ = try pair.giveA(.checkpoint)
        // The very first entry behind it, in a range of its own.
        try pair.write(volume, 3 * Pair.cell..<3 * Pair.cell + 512)
        _ = try pair.giveA(.checkpoint)
        try pair.write(volume, 4 * Pair.cell + 512..<4 * Pair.cell + 1_024, .trim)
        try pair.write(volume, 30 * Pair.cell + 512..<30 * Pair.cell + 1_024, .zeroes)
        try pair.forget()
        try pair.finish()
        try pair.expectEqual()
        #expect(pair.copied == 3 * Pair.cell)
    }

    @Test func `of a volume that grew meanwhile only what is new and what changed is copied`()
        throws
    {
        var pair = try Pair(seed: 2, cells: 40)
        try pair.create()
        let volume = pair.volumes[0]
        try pair.write(volume, 0..<pair.byteCount)
        try pair.follow(.max)
        _ = try pair.giveB(.checkpoint)
        _ = try pair.giveA(.checkpoint)
        // Its last cell, which was short, and five more of which one is written.
        try pair.grow(volume, by: 5 * Pair.cell)
        try pair.write(volume, 42 * Pair.cell..<42 * Pair.cell + 512)
        try pair.forget()
        try pair.finish()
        try pair.expectEqual()
        #expect(pair.copied == 2 * Pair.cell)
        try pair.crash()
        try pair.finish()
        try pair.expectEqual()
    }

    @Test func `a volume that grows while it is copied comes whole`() throws {
        var pair = try Pair(seed: 5, cells: 20, piece: 16 << 10)
        let volume = try pair.beginCopying()
        for _ in 0..<8 {
            try pair.grow(volume, by: 4_096)
            try pair.write(volume, pair.length(of: volume) - 4_096..<pair.length(of: volume))
            try pair.tick()
            try pair.mail()
            try pair.follow()
        }
        try pair.finish()
        try pair.expectEqual()
        #expect(pair.completions == 1)
    }

    @Test func `one that falls behind again while it copies still knows what is missing`() throws {
        var pair = try Pair(seed: 12)
        try pair.create()
        let volume = pair.volumes[0]
        try pair.write(volume, 0..<pair.byteCount)
        try pair.forget()
        for _ in 0..<20 where pair.copied == 0 {
            try pair.tick()
            try pair.mail()
        }
        try pair.mail()
        _ = try pair.giveB(.checkpoint)
        let missing = pair.b.core.missingByteCount
        #expect(missing > 0 && missing < pair.byteCount)
        _ = try pair.giveA(.checkpoint)
        try pair.write(volume, 0..<512)
        try pair.forget()
        #expect(pair.b.core.isAsking)
        (pair.toA, pair.toB) = ([], [])
        try pair.finish()
        try pair.expectEqual()
    }

    @Test func `what was trimmed, created or deleted meanwhile is so here too`() throws {
        var pair = try Pair(seed: 3)
        for _ in 0..<3 { try pair.create() }
        for id in pair.volumes { try pair.write(id, 0..<pair.byteCount) }
        try pair.follow(.max)
        _ = try pair.giveB(.checkpoint)
        try pair.delete(VolumeID(2))
        try pair.write(VolumeID(1), 0..<2 * Pair.cell, .trim)
        try pair.create()
        try pair.write(VolumeID(4), 5_120..<9_216)
        try pair.forget()
        try pair.finish()
        try pair.expectEqual()
        #expect(pair.b.core.list.map(\.id) == [VolumeID(1), VolumeID(3), VolumeID(4)])
        #expect(pair.b.core.disk.contents(of: VolumeState.image(of: VolumeID(2))) == nil)
        // A cell that was given back at the source is so here: nothing shows through a later write.
        try pair.write(VolumeID(1), 1_024..<1_536)
        try pair.finish()
        _ = try pair.giveB(.checkpoint)
        try pair.expectEqual()
    }

    @Test func `before everything up to the target is applied the bytes are no moment's`() throws {
        var pair = try Pair(seed: 4, cells: 2)
        let volume = try pair.beginCopying()
        // Two writes in order, which the log brings here later than the cell of the second.
        try pair.write(volume, 0..<512)
        try pair.write(volume, Pair.cell..<Pair.cell + 512)
        for _ in 0..<20 where pair.b.core.missingByteCount > 0 {
            try pair.tick()
            try pair.mail()
        }
        let core = pair.b.core
        #expect(core.missingByteCount == 0)
        let target = try #require(core.resyncTarget)
        #expect(target.rawValue == 4 && core.applied < target)
        // Nothing is missing, and still this is no replica: its bytes are those of entry 4.
        #expect(!core.isWhole && pair.standing != .some(nil))
        _ = try pair.giveB(.checkpoint)
        #expect(pair.b.core.isResyncing)
        try pair.crash()
        #expect(pair.b.core.isResyncing)
        try pair.finish()
        try pair.expectEqual()
    }

    @Test
    func `a cell that was trimmed, folded and written again on the way keeps the bytes that come`()
        throws
    {
        var pair = try Pair(seed: 14, cells: 2)
        let volume = try pair.beginCopying()
        #expect(pair.toA.contains { if case .askPiece = $0 { true } else { false } })
        try pair.write(volume, 0..<Pair.cell, .trim)
        try pair.follow()
        try pair.giveB(.fold)
        try pair.write(volume, 512..<1_024)
        try pair.follow()
        try pair.finish()
        try pair.expectEqual()
        #expect(try pair.bytes(pair.b.core, volume)[600] != 0)
    }

    @Test
    func `on a link that is slower than the time limit it completes, and asks for little twice`()
        throws
    {
        var pair = try Pair(seed: 15, cells: 8)
        try pair.create()
        let volume = pair.volumes[0]
        try pair.write(volume, 0..<pair.byteCount)
        try pair.forget()
        var onItsWay: [ResyncMessage] = []
        for tick in 1..<1_000 where pair.b.core.isResyncing {
            try pair.tick()
            // What was applied grows all the time, so an answer to an earlier question is too old.
            try pair.write(volume, 0..<512)
            try pair.follow()
            try pair.mail()
            onItsWay += pair.toB
            pair.toB = []
            if tick % 15 == 0, !onItsWay.isEmpty { pair.toB = [onItsWay.removeFirst()] }
        }
        #expect(!pair.b.core.isResyncing)
        #expect(pair.copied <= 2 * pair.byteCount, "\(pair.copied)")
        try pair.finish()
        try pair.expectEqual()
    }

    @Test func `a source that was away for long is asked at once when it is back`() throws {
        var pair = try Pair(seed: 16, cells: 8)
        _ = try pair.beginCopying()
        let missing = pair.b.core.missingByteCount
        for _ in 0..<2_000 {
            try pair.tick()
            (pair.toA, pair.toB) = ([], [])
        }
        #expect(pair.b.core.missingByteCount == missing && missing > 0)
        try pair.giveB(.pull(from: nil))
        pair.now = pair.now + pair.b.core.limits.resync.absence
        let from = pair.now
        try pair.finish()
        try pair.expectEqual()
        #expect(pair.now.since(from) < .seconds(1), "\(pair.now.since(from))")
    }

    @Test func `a source that has applied less answers once it has applied as much`() throws {
        var pair = try Pair(seed: 16, cells: 2)
        try pair.create()
        let volume = pair.volumes[0]
        try pair.write(volume, 0..<pair.byteCount)
        let next = LogIndex(UInt64(pair.log.count) + 1)
        let ask = ResyncMessage.askPiece(Piece(volume, 0..<Pair.cell), since: next)
        _ = try pair.giveA(.heard(ask, from: Pair.replica))
        _ = try pair.giveA(.heard(ask, from: Pair.replica))
        #expect(pair.toB.isEmpty)
        try pair.write(volume, 0..<512)
        #expect(pair.toB.count == 1, "asked twice, and answered once")
        guard case .piece(_, asOf: next, _) = pair.toB[0] else {
            return #expect(Bool(false), "\(pair.toB[0])")
        }
    }

    @Test func `who asks for what is not applied yet holds up nobody else`() throws {
        var pair = try Pair(seed: 19, cells: 2)
        try pair.create()
        let volume = pair.volumes[0]
        try pair.write(volume, 0..<pair.byteCount)
        let piece = Piece(volume, 0..<Pair.cell)
        let far = ResyncMessage.askPiece(piece, since: LogIndex(1_000))
        _ = try pair.giveA(.heard(far, from: NodeID(3)))
        let near = ResyncMessage.askPiece(piece, since: LogIndex(1))
        _ = try pair.giveA(.heard(near, from: Pair.replica))
        #expect(pair.toB.count == 1)
        #expect(pair.a.held.map(\.from) == [NodeID(3)])
    }

    @Test func `what a source gave back is given back here only once its index is the target`()
        throws
    {
        var pair = try Pair(seed: 20, cells: 3)
        try pair.create()
        let volume = pair.volumes[0]
        try pair.write(volume, 0..<pair.byteCount)
        try pair.follow(.max)
        _ = try pair.giveB(.checkpoint)
        try pair.write(volume, 0..<2 * Pair.cell, .trim)
        try pair.forget()
        let manifest = try #require(pair.a.core.manifest(since: pair.b.core.checkpointed))
        let before = pair.b.core.disk.contents(of: VolumeState.image(of: volume))
        var cuts = 0
        for step in 1..<200 {
            var core = pair.b.core
            core.disk.powerCutAtStep = core.disk.counts.steps + step
            guard (try? core.adopt(manifest)) == nil else { break }
            cuts += 1
            var disk = core.disk
            var random = SeededRandom(seed: UInt64(step))
            disk.crash(using: &random)
            let found = try VolumeCore(disk: disk, limits: core.limits)
            let isUntouched = disk.contents(of: VolumeState.image(of: volume)) == before
            #expect(
                isUntouched || found.resyncTarget ?? .zero >= pair.a.core.applied, "step \(step)")
        }
        #expect(cuts > 3)
    }

    @Test func `two that ask for a large manifest get it one after the other`() throws {
        var pair = try Pair(seed: 17)
        try pair.create()
        let bytes = [UInt8](repeating: 7, count: ResyncMessage.manifestPartByteCountMax + 1)
        let id = ManifestID(applied: LogIndex(1), checksum: 9)
        let other = NodeID(3)
        pair.a.served = ServedManifest(id: id, bytes: bytes, to: other, at: pair.now)
        let ask = ResyncMessage.askManifest(since: .zero, id: .none, offset: 0)
        _ = try pair.giveA(.heard(ask, from: Pair.replica))
        #expect(pair.toB.isEmpty && pair.a.served?.id == id)
        // The last part sets the second one free; so does the first one's silence.
        var silent = pair
        silent.now = silent.now + silent.a.core.limits.resync.manifestKept
        _ = try silent.giveA(.heard(ask, from: Pair.replica))
        #expect(silent.toB.count == 1)
        let offset = UInt64(ResyncMessage.manifestPartByteCountMax)
        let rest = ResyncMessage.askManifest(since: .zero, id: id, offset: offset)
        _ = try pair.giveA(.heard(rest, from: other))
        #expect(pair.a.served == nil)
        _ = try pair.giveA(.heard(ask, from: Pair.replica))
        #expect(pair.toB.count == 1)
    }

    @Test func `a state tells how far the log reached, whatever was copied from a later moment`()
        throws
    {
        var pair = try Pair(seed: 18)
        for _ in 0..<50 { try pair.change() }
        try pair.forget()
        for _ in 0..<4 {
            try pair.tick()
            try pair.mail()
        }
        #expect(pair.b.core.isResyncing && !pair.b.core.isAsking)
        for _ in 0..<10 { try pair.change() }
        try pair.follow(5)
        _ = try pair.giveB(.checkpoint)
        let core = try VolumeCore(disk: pair.b.core.disk, limits: pair.b.core.limits)
        #expect(core.logEndMin == pair.base.advanced(by: 5))
        #expect(core.isResyncing)
    }

    @Test func `nothing is read, opened or given to others before it is complete`() throws {
        var pair = try Pair(seed: 5)
        for _ in 0..<60 { try pair.change() }
        try pair.forget()
        try pair.tick()
        try pair.mail()
        try pair.mail()
        let volume = pair.volumes[0]
        #expect(pair.b.core.isResyncing)
        var core = pair.b.core
        #expect(try core.readCommitted(volume, at: 0, count: 512) == .failure(.closed))
        #expect(
            core.open(volume, generation: ExportGeneration(epoch: Epoch(9), opening: 1)) == .closed)
        #expect(core.manifest(since: .zero) == nil)
        #expect(try core.contents(of: Piece(volume, 0..<512)) == nil)
        let opened = try pair.giveB(.opened(Epoch(9), until: .distantFuture))
        #expect(!opened.contains { if case .opened = $0 { true } else { false } })
    }

    @Test func `a piece that is older than what was applied when it was asked for is not taken`()
        throws
    {
        var pair = try Pair(seed: 6, cells: 1)
        try pair.create()
        let volume = pair.volumes[0]
        try pair.write(volume, 0..<8_192)
        try pair.forget()
        try pair.tick()
        try pair.mail()
        try pair.mail()
        var core = pair.b.core
        let piece = try #require(core.asked.first?.piece)
        let index = core.applied
        var early = core
        #expect(try early.take(piece, nil, asOf: index.previous) == .unknown)
        #expect(early.missingByteCount > 0)
        #expect(early.asked.count == 1, "the answer to a later question may come yet")
        #expect(try core.take(piece, nil, asOf: index) == .taken)
        #expect(try core.take(piece, nil, asOf: index) == .unknown)
    }

    @Test func `what the log wrote here after the moment of a piece stays`() throws {
        var pair = try Pair(seed: 7, cells: 1)
        try pair.create()
        let volume = pair.volumes[0]
        try pair.write(volume, 0..<32_768)
        try pair.forget()
        try pair.tick()
        try pair.mail()
        try pair.mail()
        // The source reads the piece now; what follows is applied here before it arrives.
        let asks = pair.toA
        pair.toA = []
        for ask in asks { _ = try pair.giveA(.heard(ask, from: Pair.replica)) }
        let pieces = pair.toB
        pair.toB = []
        #expect(!pieces.isEmpty)
        for at in 0..<40 as Range<UInt64> { try pair.write(volume, at * 512..<at * 512 + 1_024) }
        try pair.write(volume, 20_000..<21_000, .trim)
        try pair.follow(.max)
        _ = try pair.giveB(.fold)
        for piece in pieces { try pair.giveB(.heard(piece, from: Pair.source)) }
        // It was asked for once, and is here.
        #expect(pair.b.core.missingByteCount == 0)
        try pair.finish()
        try pair.expectEqual()
    }

    @Test func `no more is asked for in a second than may be, however fast the answers come`()
        throws
    {
        var pair = try Pair(seed: 10, cells: 64, piece: 64 << 10)
        try pair.create()
        try pair.write(pair.volumes[0], 0..<pair.byteCount)
        let rate = pair.b.core.limits.resync.windowByteCountMax * 5
        var limits = pair.b.core.limits
        limits.resync.bytesPerSecondMax = UInt64(rate)
        pair.b = Exports(try VolumeCore(disk: SimulatedDisk(), limits: limits))
        try pair.forget()
        try pair.tick()
        try pair.mail()
        try pair.mail()
        for _ in 0..<1_000 {
            pair.now = pair.now + .milliseconds(1)
            if pair.now.nanoseconds % 20_000_000 == 1 { try pair.giveB(.pull(from: Pair.source)) }
            try pair.mail()
        }
        let burst = pair.b.core.limits.resync.windowByteCountMax
        #expect(pair.copied <= rate + burst + 2 * (64 << 10), "\(pair.copied)")
        #expect(pair.copied >= rate / 2, "\(pair.copied)")
    }

    @Test func `a source that vanishes is followed by another that knows other moments`() throws {
        var pair = try Pair(seed: 8, cells: 12)
        for _ in 0..<150 { try pair.change() }
        let earlier = pair.a
        let count = pair.log.count
        for _ in 0..<20 { try pair.change() }
        try pair.forget()
        for _ in 0..<3 {
            try pair.tick()
            try pair.mail()
        }
        #expect(pair.b.core.isResyncing && pair.b.core.missingByteCount > 0)
        // The other one has not applied all that the first had.
        let first = pair.a
        pair.a = earlier
        for _ in 0..<5 {
            try pair.tick()
            try pair.mail()
            try pair.follow()
        }
        #expect(count < first.core.applied.rawValue)
        for ruled in pair.log[count...] { _ = try pair.giveA(.apply([ruled])) }
        try pair.finish()
        try pair.expectEqual()
    }

    @Test(arguments: 1...24)
    func `whatever is lost, crashes or changes meanwhile, in the end both are equal`(
        seed: UInt64
    ) throws {
        let piece = [64 << 10, 128 << 10, 16 << 10, 8 << 10][Int(seed % 4)]
        var pair = try Pair(seed: seed, piece: piece)
        for _ in 0..<60 { try pair.change() }
        if seed % 3 > 0 {
            try pair.follow(.max)
            _ = try pair.giveB(.checkpoint)
        }
        for _ in 0..<100 { try pair.change() }
        try pair.forget()
        for _ in 0..<400 {
            switch pair.random.next() % 32 {
            case 0..<8: try pair.change()
            case 8..<14: try pair.follow(Int(1 + pair.random.next() % 6))
            case 14..<20: try pair.mail()
            case 20..<24: try pair.tick()
            case 24: pair.toA = []
            case 25: pair.toB = []
            case 26: pair.toB += pair.toB
            case 27: pair.toB.shuffle(using: &pair.random)
            case 28: try pair.giveB(.fold)
            case 29: try pair.giveB(.checkpoint)
            case 30 where pair.random.chance(1, in: 3): try pair.crash()
            case 31 where pair.random.chance(1, in: 8): try pair.forget()
            default: _ = try pair.giveA(.fold)
            }
        }
        try pair.finish()
        try pair.expectEqual()
    }

    @Test func `power may fail at any step of a resync`() throws {
        var begun = try Pair(seed: 9, cells: 3, piece: 32 << 10)
        for _ in 0..<80 { try begun.change() }
        try begun.follow(.max)
        _ = try begun.giveB(.checkpoint)
        for _ in 0..<60 { try begun.change() }
        var steps = 0
        var whole = begun
        try whole.forget()
        try whole.finish()
        let all = whole.b.core.disk.counts.steps - begun.b.core.disk.counts.steps
        #expect(all > 20)
        while steps < all {
            steps += 1
            var pair = begun
            pair.random = SeededRandom(seed: UInt64(steps))
            pair.b.alterDisk { $0.powerCutAtStep = $0.counts.steps + steps }
            _ = try pair.giveA(.checkpoint)
            (pair.base, pair.handed) = (pair.a.core.checkpointed, pair.a.core.checkpointed)
            do {
                try pair.giveB(.behind(pair.base))
                try pair.finish()
            } catch is DiskError {}
            try pair.crash()
            for _ in 0..<5 { try pair.change() }
            try pair.finish()
            try pair.expectEqual()
        }
    }

    @Test func `a state of the first release is read, and knows no changes`() throws {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.append(littleEndian: VolumeState.Format.first.rawValue)
        bytes.append(littleEndian: UInt64(3))
        bytes.append(littleEndian: UInt64(41))
        bytes.append(littleEndian: UInt32(1))
        bytes.append(littleEndian: UInt64(7))
        bytes.append(littleEndian: UInt64(3 * Pair.cell))
        bytes.append(littleEndian: UInt64(5))
        bytes.append(littleEndian: UInt64(6))
        bytes.append(1)
        bytes.append(littleEndian: UInt16(2))
        bytes += Array("d1".utf8) + [0b101]
        bytes.store(UInt64(bytes.count), at: 4, count: 4)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<bytes.count)), at: 0, count: 4)
        let state = try #require(VolumeState(parsing: bytes))
        #expect(state.applied == LogIndex(41) && state.resync == nil)
        let record = try #require(state.volumes.first)
        #expect(record.name == "d1" && record.number == 6 && record.isSync)
        #expect(record.allocation.heldByteCount == 2 * Pair.cell && record.missing.isEmpty)
        #expect(record.changes.changed(since: LogIndex(40), of: record.byteCount) == nil)
        #expect(record.changes.changed(since: LogIndex(41), of: record.byteCount)?.isEmpty == true)
        #expect(record.unsummed == record.allocation)
        var again = state
        again.format = .summed
        #expect(VolumeState(parsing: state.encoded) == again)
    }

    @Test func `a message is read as it was written, and what is none is refused`() throws {
        let piece = Piece(VolumeID(3), 65_536..<66_048)
        let id = ManifestID(applied: LogIndex(8), checksum: 99)
        let part = ManifestPart(id: id, byteCount: 10, offset: 4, bytes: [1, 2, 3])
        for message: ResyncMessage in [
            .askManifest(since: LogIndex(4), id: id, offset: 7), .manifest(part),
            .askPiece(piece, since: LogIndex(11)),
            .piece(piece, asOf: LogIndex(9), bytes: nil),
            .piece(piece, asOf: LogIndex(9), bytes: [UInt8](repeating: 5, count: 512)),
            .askSums(piece, since: LogIndex(9)), .sums(piece, since: LogIndex(9), nil),
            .sums(piece, since: LogIndex(9), [7]),
        ] {
            #expect(try ResyncMessage(parsing: message.encoded) == message)
            #expect(throws: ResyncMessageRefused.self) {
                try ResyncMessage(
                    parsing: Array(message.encoded.dropLast()) + [UInt8](repeating: 1, count: 8))
            }
        }
        #expect(throws: ResyncMessageRefused.unknownKind(22)) { try ResyncMessage(parsing: [22]) }
        var endless = ResyncMessage.askPiece(piece, since: LogIndex(11)).encoded
        endless.store(UInt64(UInt32.max), at: 17, count: 4)
        #expect(throws: ResyncMessageRefused.self) { try ResyncMessage(parsing: endless) }
        var beyond = ResyncMessage.manifest(part).encoded
        beyond.store(9, at: 21, count: 8)
        #expect(throws: ResyncMessageRefused.self) { try ResyncMessage(parsing: beyond) }
    }
}
