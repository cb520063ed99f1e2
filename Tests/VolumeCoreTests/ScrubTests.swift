import Mesh
import SimulatedDisk
import Testing

@testable import VolumeCore

@Suite("Reading the images over (ADR 8)")
struct ScrubTests {
    private static let byteCount: UInt64 = 1 << 20

    /// All of it in the image.
    private func filled() throws -> SummedVolume {
        var volume = try SummedVolume(byteCount: Self.byteCount)
        try volume.write(0..<512 << 10, 5)
        try volume.write(512 << 10..<Self.byteCount, 5)
        try volume.core.checkpoint()
        return volume
    }

    private func pass(_ volume: inout SummedVolume) throws -> UInt64 {
        var read: UInt64 = 0
        while let piece = try volume.core.scrubNext(at: WallTime(7)) {
            let count = UInt64(piece.range.count)
            #expect(count <= Scrub.sliceByteCount)
            read += count
        }
        return read
    }

    @Test func `a pass reads all that is allocated, and finds what nobody asks for`() throws {
        var volume = try filled()
        try volume.restart { $0.flip(SummedVolume.image, at: 900_000, bit: 3) }
        #expect(try pass(&volume) == Self.byteCount)
        #expect(volume.damaged == [900_000 / 4_096])
        #expect(volume.core.scrubStanding.ended == WallTime(7))
        #expect(try pass(&volume) == Self.byteCount)
    }

    @Test func `what reads zero is not read`() throws {
        var volume = try filled()
        try volume.write(128 << 10..<Self.byteCount, 0, .trim)
        try volume.core.checkpoint()
        #expect(try pass(&volume) == 128 << 10)
    }

    @Test func `behind a restart it goes on where the last checkpoint saw it`() throws {
        var volume = try filled()
        for _ in 0..<2 { _ = try volume.core.scrubNext(at: WallTime(6)) }
        try volume.core.checkpoint()
        try volume.restart { _ in }
        #expect(try pass(&volume) == Self.byteCount - 2 * Scrub.sliceByteCount)
    }

    @Test func `it reads no faster than it may, and catches up on no long pause`() {
        var pace = ScrubPace()
        var read: UInt64 = 0
        for second in 0..<10 as Range<UInt64> {
            let now = Instant(nanoseconds: 1 + second * 1_000_000_000)
            pace.refill(at: now, whole: 1 << 50, in: .seconds(1))
            while pace.isDue {
                pace.spend(Scrub.sliceByteCount)
                read += Scrub.sliceByteCount
            }
        }
        #expect(read <= 10 * Scrub.bytesPerSecondMax)
        pace.refill(at: Instant(nanoseconds: 1 << 60), whole: 1 << 50, in: .seconds(1))
        var burst: UInt64 = 0
        while pace.isDue {
            pace.spend(Scrub.sliceByteCount)
            burst += Scrub.sliceByteCount
        }
        #expect(burst <= 4 * Scrub.bytesPerSecondMax)
    }
}
