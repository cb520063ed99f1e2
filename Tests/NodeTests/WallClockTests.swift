import Mesh
import Testing

@testable import Node

@Suite("The wall clock of a node") struct WallClockTests {
    /// An entry must not seem older than the write that it holds: whoever restores to a moment would find in it what came after.
    @Test func `a reading that waited to be heard is as old as it is`() throws {
        var trio = try Trio()
        let readAt = trio.now
        let (wall, wait) = (WallTime(1_795_500_000_000_000_000), Interval.milliseconds(40))
        trio.run(wait)
        trio.give(0, .wallClock(wall, readAt: readAt))
        let time = trio.seats[0].node.wall.time(at: trio.now)
        #expect(time.rawValue == wall.rawValue + trio.now.since(readAt).nanoseconds)
        #expect(time.rawValue >= wall.rawValue + wait.nanoseconds)
    }
}
