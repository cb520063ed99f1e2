internal import Glibc
package import Mesh

/// This machine's clocks.
package enum BootClock {
    /// CLOCK_BOOTTIME: goes on while the machine sleeps, so that a lease ends meanwhile.
    package static var now: Instant { Instant(nanoseconds: read(CLOCK_BOOTTIME)) }
    package static var wall: WallTime { WallTime(read(CLOCK_REALTIME)) }

    package static var unixSeconds: UInt64 { wall.rawValue / 1_000_000_000 }
    package static var unixMilliseconds: UInt64 { wall.rawValue / 1_000_000 }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        let result = unsafe clock_gettime(clock, &time)
        invariant(result == 0, "clock \(clock) can't be read: errno \(errno)")
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
