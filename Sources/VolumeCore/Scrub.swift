package import Mesh

/// How far the images have been read over, to find what nobody asks for (ADR 8). It goes through them
/// in one order, so the next block is always the one that was longest not read.
package struct Scrub: Hashable, Sendable {
    /// What one step reads: a client that comes meanwhile waits no longer.
    package static let sliceByteCount: UInt64 = 256 << 10
    /// Rates below and above take too long, or too much of a disk.
    static let bytesPerSecondMin: UInt64 = 256 << 10
    static let bytesPerSecondMax: UInt64 = 64 << 20

    /// The next byte to be read.
    var volume = VolumeID(0)
    var offset: UInt64 = 0
    /// When the present pass began; zero where none is under way.
    package internal(set) var began = WallTime.zero
    /// When a pass last ended that had read everything.
    package internal(set) var ended = WallTime.zero
}

/// A pass in figures.
package struct ScrubStanding: Hashable, Sendable {
    package let doneByteCount: UInt64
    package let wholeByteCount: UInt64
    /// When everything had been read for the last time; zero for never.
    package let ended: WallTime
}

/// How fast the images are read over.
struct ScrubPace: Sendable {
    /// Longer pauses buy no more than so many seconds' worth.
    private static let burst = Interval.seconds(4)

    private var allowance: UInt64 = 0
    private var refilledAt: Instant?

    var isDue: Bool { allowance > 0 }

    mutating func refill(at now: Instant, whole: UInt64, in period: Interval) {
        let seconds = max(period.nanoseconds / 1_000_000_000, 1)
        let rate = min(
            max(whole / seconds, Scrub.bytesPerSecondMin), Scrub.bytesPerSecondMax)
        let passed = refilledAt.map { min(now.since($0), Self.burst) } ?? .seconds(1)
        refilledAt = now
        let most = rate * (Self.burst.nanoseconds / 1_000_000_000)
        allowance = min(allowance + rate * (passed.nanoseconds / 1_000_000) / 1_000, most)
    }

    /// A step that read nothing costs something too, or a pass over nothing would never pause.
    mutating func spend(_ byteCount: UInt64) {
        allowance -= min(allowance, max(byteCount, BlockSum.blockByteCount))
    }

    mutating func rest() { allowance = 0 }
}
