internal import Glibc
internal import Mesh

extension S3World {
    package static var ofThisMachine: S3World {
        S3World(
            now: { Instant(nanoseconds: read(CLOCK_BOOTTIME)) },
            unixSeconds: { read(CLOCK_REALTIME) / 1_000_000_000 },
            sleep: { interval in
                var left = timespec(
                    tv_sec: Int(interval.nanoseconds / 1_000_000_000),
                    tv_nsec: Int(interval.nanoseconds % 1_000_000_000))
                var rest = timespec()
                while unsafe nanosleep(&left, &rest) != 0, errno == EINTR { left = rest }
            })
    }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        let result = unsafe clock_gettime(clock, &time)
        invariant(result == 0, "clock \(clock) can't be read: errno \(errno)")
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
