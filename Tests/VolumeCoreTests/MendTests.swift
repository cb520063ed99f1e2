import Disk
import Mesh
import Record
import SimulatedDisk
import Testing

@testable import VolumeCore

@Suite("Damaged blocks are mended from a peer (ADR 8)")
struct MendTests {
    private static let block = BlockSum.blockByteCount

    /// A volume whose bytes both have in their images.
    private func filled(_ seed: UInt64 = 3) throws -> Pair {
        var pair = try Pair(seed: seed, cells: 4)
        try pair.create()
        try pair.write(pair.volumes[0], 0..<pair.byteCount)
        try pair.follow(.max)
        for event in [ExportEvent.checkpoint] {
            _ = try pair.giveA(event)
            try pair.giveB(event)
        }
        return pair
    }

    /// One block of it is damaged at the replica, which knows of that.
    private func damaged() throws -> Pair {
        var pair = try filled()
        try pair.damageAgain()
        return pair
    }

    fileprivate static let image = VolumeState.image(of: VolumeID(1))

    private func read(_ pair: inout Pair, _ range: Range<UInt64>) throws -> [ExportEffect] {
        let id = RequestID(ConnectionID(1), range.lowerBound)
        return try pair.giveB(
            .request(
                id, VolumeID(1), pair.generation,
                .read(offset: range.lowerBound, byteCount: range.count)))
    }

    private func replies(_ effects: [ExportEffect]) -> [VolumeReply] {
        effects.compactMap { if case .reply(_, let reply) = $0 { reply } else { nil } }
    }

    private func expected(_ pair: Pair, _ range: Range<UInt64>) throws -> VolumeReply {
        var core = pair.a.core
        let read = try core.readCommitted(VolumeID(1), at: range.lowerBound, count: range.count)
        return .data(try read.get())
    }

    @Test func `a read of a damaged block waits for a peer's bytes, others do not`() throws {
        var pair = try filled()
        try pair.openB()
        pair.b.alterDisk { $0.flip(Self.image, at: 5 * 4_096 + 9, bit: 2) }
        let range = 5 * Self.block..<6 * Self.block
        let found = try read(&pair, range)
        #expect(replies(found).isEmpty)
        #expect(found.contains(.damage(blocks: 1)))
        #expect(try replies(read(&pair, 0..<Self.block)) == [expected(pair, 0..<Self.block)])
        try pair.tick()
        #expect(pair.toA.count == 1)
        _ = try pair.deliverToA()
        let effects = try pair.deliverToB()
        #expect(try replies(effects) == [expected(pair, range)])
        #expect(effects.contains(.damage(blocks: 0)))
        #expect(pair.b.core.damagedBlockCount == 0)
        try pair.giveB(.closed)
        try pair.expectEqual()
    }

    @Test func `where nobody has the bytes a read fails in the end, and nothing else does`() throws
    {
        var pair = try filled()
        try pair.openB()
        for at in [4, 5, 6] {
            pair.b.alterDisk { $0.flip(Self.image, at: at * 4_096, bit: 2) }
        }
        pair.a.alterDisk { $0.flip(Self.image, at: 5 * 4_096, bit: 3) }
        let range = 4 * Self.block..<7 * Self.block
        #expect(try replies(read(&pair, range)).isEmpty)
        var effects: [ExportEffect] = []
        let end = pair.now + VolumeLimits.damagedReadWaitMax
        while pair.now < end {
            pair.now = pair.now + .milliseconds(20)
            effects += try pair.giveB(.pull(from: Pair.source))
            _ = try pair.deliverToA()
            effects += try pair.deliverToB()
        }
        #expect(replies(effects) == [.refused(.damaged)])
        // The peer found its own, and gave no other bytes; the rest was asked for and came.
        #expect(pair.a.core.damagedBlockCount == 1)
        #expect(pair.b.core.volumes[0].record.damaged.blocks == [5])
        let beside = 6 * Self.block..<7 * Self.block
        #expect(try replies(read(&pair, beside)) == [expected(pair, beside)])
    }

    @Test func `a piece that mends takes the place of nothing that was written later`() throws {
        for isFolded in [false, true] {
            var pair = try filled()
            pair.b.alterDisk { $0.flip(Self.image, at: 5 * 4_096 + 9, bit: 2) }
            _ = try pair.b.core.readCommitted(VolumeID(1), at: 0, count: 9 * 4_096)
            try pair.giveB(.fold)
            try pair.tick()
            // Read now, and here only after the next writes.
            _ = try pair.deliverToA()
            let pieces = pair.toB
            #expect(pieces.count == 1)
            pair.toB = []
            try pair.write(VolumeID(1), 5 * Self.block + 100..<5 * Self.block + 200)
            try pair.write(VolumeID(1), 4 * Self.block + 100..<5 * Self.block + 40)
            try pair.follow(.max)
            if isFolded { try pair.giveB(.fold) }
            for piece in pieces { try pair.giveB(.heard(piece, from: Pair.source)) }
            // What was folded meanwhile was lost with the block: it has to be asked for again.
            #expect((pair.b.core.damagedBlockCount > 0) == isFolded)
            for _ in 0..<80 {
                try pair.tick()
                _ = try pair.deliverToA()
                _ = try pair.deliverToB()
            }
            try pair.expectEqual()
        }
    }

    @Test func `a piece of what the log has yet to bring waits for it`() throws {
        var pair = try filled()
        pair.b.alterDisk { $0.flip(Self.image, at: 5 * 4_096 + 9, bit: 2) }
        _ = try pair.b.core.readCommitted(VolumeID(1), at: 0, count: 9 * 4_096)
        try pair.giveB(.fold)
        try pair.tick()
        try pair.write(VolumeID(1), 5 * Self.block + 100..<5 * Self.block + 200)
        _ = try pair.deliverToA()
        _ = try pair.deliverToB()
        #expect(pair.b.core.damagedBlockCount == 1)
        try pair.follow(.max)
        #expect(pair.b.core.damagedBlockCount == 0)
        try pair.expectEqual()
    }

    @Test func `a source that was away for long is asked at once when it is back`() throws {
        var pair = try damaged()
        for _ in 0..<2_000 {
            try pair.tick()
            (pair.toA, pair.toB) = ([], [])
        }
        #expect(pair.b.core.damagedBlockCount == 1)
        try pair.giveB(.pull(from: nil))
        try pair.tick()
        try pair.exchange()
        #expect(pair.b.core.damagedBlockCount == 0)
        try pair.expectEqual()
    }

    @Test func `however long one source was silent, the next is asked in its turn`() throws {
        var pair = try damaged()
        for _ in 0..<500 { try pair.tick(naming: NodeID(3)) }
        pair.toA = []
        try pair.tick()
        try pair.exchange()
        #expect(pair.b.core.damagedBlockCount == 0)
        try pair.expectEqual()
    }

    @Test func `bytes that wait for the log are not asked for again`() throws {
        var pair = try damaged()
        try pair.tick()
        try pair.write(VolumeID(1), 0..<512)
        try pair.exchange()
        for _ in 0..<500 { try pair.tick() }
        #expect(pair.toA.isEmpty && pair.b.core.damagedBlockCount == 1)
        try pair.follow(.max)
        #expect(pair.b.core.damagedBlockCount == 0)
    }

    @Test func `on a link that is slower than the time limit a block is mended all the same`()
        throws
    {
        var pair = try damaged()
        var onTheirWay: [(at: Instant, letter: ResyncMessage)] = []
        let limit = pair.now + .seconds(30)
        while pair.b.core.damagedBlockCount > 0, pair.now < limit {
            try pair.tick()
            // What is applied grows all the time, so an answer to an earlier question is too old.
            try pair.write(VolumeID(1), 0..<512)
            try pair.follow(.max)
            _ = try pair.deliverToA()
            onTheirWay += pair.toB.map { (pair.now + .seconds(3), $0) }
            pair.toB = onTheirWay.filter { $0.at <= pair.now }.map(\.letter)
            onTheirWay.removeAll { $0.at <= pair.now }
            _ = try pair.deliverToB()
        }
        #expect(pair.b.core.damagedBlockCount == 0)
    }

    @Test func `what is damaged is known again behind a restart, and mended`() throws {
        var pair = try filled()
        pair.b.alterDisk { $0.flip(Self.image, at: 5 * 4_096 + 9, bit: 2) }
        _ = try pair.b.core.readCommitted(VolumeID(1), at: 0, count: 9 * 4_096)
        let effects = try pair.giveB(.fold)
        #expect(effects.contains(.wantsCheckpoint))
        try pair.crash()
        #expect(pair.b.core.damagedBlockCount == 1)
        try pair.follow(.max)
        try pair.tick()
        _ = try pair.deliverToA()
        _ = try pair.deliverToB()
        #expect(pair.b.core.damagedBlockCount == 0)
        try pair.expectEqual()
    }

    /// Bits turn in either image, never at the same place of both; writes of every size, folds,
    /// checkpoints, crashes and lost letters go on.
    @Test(arguments: 1...16 as ClosedRange<UInt64>)
    func `whatever is damaged at one, in the end both are equal`(seed: UInt64) throws {
        var pair = try filled(seed)
        for _ in 0..<300 {
            switch pair.random.next() % 32 {
            case 0..<10: try pair.change()
            case 10..<16: try pair.follow(Int(1 + pair.random.next() % 6))
            case 16..<20: try pair.mail()
            case 20..<24: try pair.tick()
            case 24: (pair.toA, pair.toB) = ([], [])
            case 25: pair.toB += pair.toB
            case 26: try pair.giveB(.fold)
            case 27: try pair.giveB(.checkpoint)
            case 28 where pair.random.chance(1, in: 3): try pair.crash()
            case 29..<31: pair.damageB()
            default: try pair.readB()
            }
        }
        try pair.finish()
        // Found by reading all of it, and mended.
        for _ in 0..<40 {
            for volume in pair.volumes {
                _ = try pair.b.core.readCommitted(volume, at: 0, count: Int(pair.byteCount))
            }
            for _ in 0..<60 {
                try pair.tick()
                try pair.mail()
            }
        }
        #expect(pair.b.core.damagedBlockCount == 0)
        try pair.expectEqual()
    }
}

extension Pair {
    var generation: ExportGeneration { ExportGeneration(epoch: Epoch(1), opening: 2) }

    /// The replica becomes primary, behind an opening that the log's writes were made under.
    mutating func openB() throws {
        _ = try b.core.newGeneration(Epoch(1))
        try giveB(.opened(Epoch(1), until: now + .seconds(60)))
    }

    mutating func deliverToA() throws -> [ExportEffect] {
        let letters = toA
        toA = []
        return try letters.flatMap { try giveA(.heard($0, from: Self.replica)) }
    }

    mutating func deliverToB() throws -> [ExportEffect] {
        let letters = toB
        toB = []
        return try letters.flatMap { try giveB(.heard($0, from: Self.source)) }
    }

    mutating func exchange() throws {
        _ = try deliverToA()
        _ = try deliverToB()
    }

    mutating func damageAgain() throws {
        b.alterDisk { $0.flip(MendTests.image, at: 5 * 4_096 + 9, bit: 2) }
        _ = try b.core.readCommitted(VolumeID(1), at: 0, count: 9 * 4_096)
        try giveB(.fold)
        #expect(b.core.damagedBlockCount == 1)
    }

    mutating func tick(naming source: NodeID) throws {
        now = now + .milliseconds(20)
        try giveB(.pull(from: source))
    }

    mutating func damageB() {
        guard !volumes.isEmpty else { return }
        let volume = volumes[Int(random.next() % UInt64(volumes.count))]
        let name = VolumeState.image(of: volume)
        guard b.core.disk.contents(of: name) != nil else { return }
        let at = Int(random.next() % byteCount)
        b.alterDisk { $0.flip(name, at: at, bit: 5) }
    }

    mutating func readB() throws {
        guard !volumes.isEmpty, !b.core.isResyncing else { return }
        let volume = volumes[Int(random.next() % UInt64(volumes.count))]
        _ = try b.core.readCommitted(volume, at: 0, count: Int(byteCount))
        try giveB(.fold)
    }
}
