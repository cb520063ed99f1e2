import Backup
import Dispatch
import Glibc
import Mesh
import Mounts
import NIOConcurrencyHelpers
import Testing

/// Bytes of the past in memory, of which some can't be read.
struct MemoryBase: MountBase {
    static let away = "packs/12/34: a byte turned"
    var bytes: [UInt8]
    var damaged: Range<UInt64> = 0..<0
    /// Where reads of two threads meet.
    var meeting: Meeting?

    init(_ byteCount: Int, seed: UInt64) {
        var random = SeededRandom(seed: seed)
        bytes = (0..<byteCount).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    func read(_ range: Range<UInt64>) throws(BackupFailure) -> [UInt8] {
        meeting?.come(to: range.lowerBound / 4_096)
        guard !range.overlaps(damaged) else { throw .volume(Self.away) }
        let own = range.clamped(to: 0..<UInt64(bytes.count))
        return Array(bytes[Int(own.lowerBound)..<Int(own.upperBound)])
            + [UInt8](repeating: 0, count: range.count - own.count)
    }

    func extents(_ range: Range<UInt64>, countMax: Int) -> [ViewExtent] {
        [ViewExtent(range, .data)]
    }
}

/// Who comes first to a place waits there for the second one.
final class Meeting: Sendable {
    private let first = NIOLockedValueBox<[UInt64: DispatchSemaphore]>([:])

    func come(to place: UInt64) {
        let (waiting, isFirst) = first.withLockedValue { first in
            if let other = first.removeValue(forKey: place) { return (other, false) }
            let own = DispatchSemaphore(value: 0)
            first[place] = own
            return (own, true)
        }
        if isFirst { waiting.wait() } else { waiting.signal() }
    }
}

@Suite("Mounted volumes") struct VolumeTests {
    @Test(arguments: 0..<16 as Range<UInt64>)
    func `what is written lies over what was, byte by byte`(seed: UInt64) throws {
        let count = 300_000 + Int(seed % 3) * 777
        let base = MemoryBase(count, seed: seed)
        let volume = try MountedVolume(base, byteCount: UInt64(count), overlayIn: "/tmp")
        var (model, random) = (base.bytes, SeededRandom(seed: seed))
        for _ in 0..<300 {
            let start = Int(random.next() % UInt64(count))
            let end = min(start + 1 + Int(random.next() % 20_000), count)
            let range = UInt64(start)..<UInt64(end)
            switch random.next() % 3 {
            case 0:
                let byte = UInt8(truncatingIfNeeded: random.next())
                let bytes = (start..<end).map { byte &+ UInt8(truncatingIfNeeded: $0) }
                try volume.write(bytes, at: range.lowerBound)
                model.replaceSubrange(start..<end, with: bytes)
            case 1:
                try volume.zero(range)
                model.replaceSubrange(start..<end, with: [UInt8](repeating: 0, count: end - start))
            default: #expect(try volume.read(range) == Array(model[start..<end]))
            }
        }
        #expect(try volume.read(0..<UInt64(count)) == model)
        for extent in volume.extents(0..<UInt64(count), countMax: 1_000) where extent.kind == .hole
        {
            let own = model[Int(extent.range.lowerBound)..<Int(extent.range.upperBound)]
            #expect(own.allSatisfy { $0 == 0 })
        }
    }

    @Test func `two that write halves of one block both keep theirs`() async throws {
        var base = MemoryBase(1 << 20, seed: 1)
        base.meeting = Meeting()
        let volume = try MountedVolume(base, byteCount: 1 << 20, overlayIn: "/tmp")
        await onThreads(2) { half in
            for block in 0..<256 as Range<UInt64> {
                let bytes = [UInt8](repeating: UInt8(half + 1), count: 2_048)
                try? volume.write(bytes, at: block * 4_096 + UInt64(half) * 2_048)
            }
        }
        let bytes = try volume.read(0..<1 << 20)
        #expect(bytes.indices.allSatisfy { bytes[$0] == ($0 % 4_096 < 2_048 ? 1 : 2) })
    }

    @Test func `a volume that grew reads zero behind what it was`() throws {
        let volume = try MountedVolume(
            MemoryBase(5_000, seed: 1), byteCount: 5_000, overlayIn: "/tmp")
        volume.grow(to: 20_000)
        #expect(volume.byteCount == 20_000)
        try volume.write([7], at: 4_999)
        let bytes = try volume.read(4_998..<20_000)
        #expect(bytes[1] == 7 && bytes.dropFirst(2).allSatisfy { $0 == 0 })
    }

    @Test func `where there is no room a write says so, and what was there stays`() throws {
        let base = MemoryBase(10_000, seed: 1)
        let volume = try MountedVolume(
            base, byteCount: 10_000, overlayIn: "/tmp", sparing: 1 << 60)
        #expect {
            try volume.write([1, 2, 3], at: 100)
        } throws: { error in
            if case .full? = error as? MountFailure { true } else { false }
        }
        #expect(try volume.read(0..<10_000) == base.bytes)
    }

    @Test func `what can't be read fails alone, and can be written over`() throws {
        var base = MemoryBase(100_000, seed: 1)
        base.damaged = 40_960..<45_056
        let volume = try MountedVolume(base, byteCount: 100_000, overlayIn: "/tmp")
        #expect(throws: MountFailure.self) { try volume.read(41_000..<41_001) }
        #expect(throws: MountFailure.self) { try volume.write([1], at: 41_000) }
        #expect(try volume.read(45_056..<50_000) == Array(base.bytes[45_056..<50_000]))
        try volume.write([UInt8](repeating: 9, count: 4_096), at: 40_960)
        #expect(try volume.read(40_960..<45_056) == [UInt8](repeating: 9, count: 4_096))
    }

    /// Its client has gone, and asked anew by another connection.
    @Test func `what nobody waits for any more changes nothing`() throws {
        let base = MemoryBase(20_000, seed: 3)
        let volume = try MountedVolume(base, byteCount: 20_000, overlayIn: "/tmp")
        try volume.write([1, 2, 3], at: 5_000, if: { false })
        try volume.zero(0..<12_000, if: { false })
        #expect(try volume.read(0..<20_000) == base.bytes)
    }

    @Test func `no more extents are made than are asked for`() throws {
        let volume = try MountedVolume(nil, byteCount: 1 << 20, overlayIn: "/tmp")
        for block in stride(from: UInt64(0), to: 256, by: 2) {
            try volume.write([1], at: block << 12)
        }
        let extents = volume.extents(0..<1 << 20, countMax: 5)
        #expect(extents.count == 5 && extents.last?.range.upperBound == 5 << 12)
    }

    @Test
    func `of two mounts at one path the second one is refused, and its end takes nothing away`()
        throws
    {
        let path = "/tmp/hf-claim-\(UInt64.random(in: 0 ... .max))"
        do {
            let first = try MountClaim(of: path)
            #expect(throws: MountFailure.self) { try MountClaim(of: path) }
            #expect(throws: MountFailure.self) { try MountClaim(of: path) }
            withExtendedLifetime(first) {}
        }
        let next = try MountClaim(of: path)
        withExtendedLifetime(next) {}
    }
}

/// Calls it on so many threads.
func onThreads(_ count: Int, _ deed: @escaping @Sendable (Int) -> Void) async {
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
        let left = NIOLockedValueBox(count)
        for number in 0..<count {
            DispatchQueue(label: "mounts.\(number)").async {
                deed(number)
                let isLast = left.withLockedValue { left in
                    left -= 1
                    return left == 0
                }
                if isLast { done.resume() }
            }
        }
    }
}
