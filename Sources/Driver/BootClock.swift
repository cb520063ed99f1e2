internal import Glibc
package import Mesh

/// This machine's clocks.
package enum BootClock {
    /// CLOCK_BOOTTIME: goes on while the machine sleeps, so that a lease ends meanwhile.
    package static var now: Instant { Instant(nanoseconds: read(CLOCK_BOOTTIME)) }
    package static var wall: WallTime { WallTime(read(CLOCK_REALTIME)) }

    /// Both at one time: read again where the thread was held up between them.
    package static var reading: (wall: WallTime, at: Instant) {
        var best = (wall: wall, at: now, gap: UInt64.max)
        for _ in 0..<readingsMax where best.gap > readingGapMax {
            let before = now
            let time = wall
            let gap = now.nanoseconds - before.nanoseconds
            if gap < best.gap { best = (time, before, gap) }
        }
        return (best.wall, best.at)
    }
    private static let readingsMax = 8
    private static let readingGapMax: UInt64 = 20_000

    package static var unixSeconds: UInt64 { wall.rawValue / 1_000_000_000 }
    package static var unixMilliseconds: UInt64 { wall.rawValue / 1_000_000 }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        let result = unsafe clock_gettime(clock, &time)
        invariant(result == 0, "clock \(clock) can't be read: errno \(errno)")
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
