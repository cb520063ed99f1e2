internal import Mesh

/// The wall clock as last read, running on with the node's own.
struct WallClock: Sendable {
    private var reading = WallTime.zero
    private var readAt = Instant.zero

    mutating func set(_ time: WallTime, at now: Instant) { (reading, readAt) = (time, now) }

    /// `now` is no earlier than the reading.
    func time(at now: Instant) -> WallTime {
        WallTime(reading.rawValue + now.since(readAt).nanoseconds)
    }
}
