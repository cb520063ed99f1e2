internal import Dispatch
internal import Glibc
package import Mesh
internal import NIOConcurrencyHelpers

/// Looks once in a while whether the log's file system has room, so that writes stall before the
/// log fails on it.
package final class RoomWatch: Sendable {
    /// Room for the segment in use, the next one and a checkpoint.
    package static let reserveBytes: UInt64 = 192 << 20
    /// Writing goes on only with this part of the reserve more, or it would stutter at the edge.
    package static let returnPart: UInt64 = 3
    package static let every = Interval.milliseconds(250)

    private let path: String
    private let reserve: UInt64
    private let queue = DispatchQueue(label: "holdfast.room")
    private let sawRoom = NIOLockedValueBox(true)

    package init(path: String, reserveBytes: UInt64 = RoomWatch.reserveBytes) {
        self.path = path
        reserve = reserveBytes
    }

    package var hasRoom: Bool { sawRoom.withLockedValue { $0 } }

    /// `tell` is called at each change, `tick` about once a second; until the process ends.
    package func start(
        tell: @escaping @Sendable (Bool) -> Void, tick: @escaping @Sendable () -> Void
    ) {
        look(0, tell, tick)
    }

    private func look(
        _ count: UInt64, _ tell: @escaping @Sendable (Bool) -> Void,
        _ tick: @escaping @Sendable () -> Void
    ) {
        if let free = Self.freeBytes(path) {
            let changed = sawRoom.withLockedValue { hasRoom -> Bool? in
                let needed = reserve + (hasRoom ? 0 : reserve / Self.returnPart)
                guard (free >= needed) != hasRoom else { return nil }
                hasRoom = free >= needed
                return hasRoom
            }
            if let changed { tell(changed) }
        }
        if count % 4 == 0 { tick() }
        let wait = DispatchTimeInterval.nanoseconds(Int(Self.every.nanoseconds))
        queue.asyncAfter(deadline: .now() + wait) { self.look(count + 1, tell, tick) }
    }

    private static func freeBytes(_ path: String) -> UInt64? {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return nil }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }
}
