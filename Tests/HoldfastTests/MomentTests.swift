import Mesh
import Record
import Testing

@testable import Holdfast

@Suite("Moments of a restore") struct MomentTests {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-11-30T08:15:00Z", 1_796_026_500_000_000_000),
            ("2026-11-30T09:15:00+01:00", 1_796_026_500_000_000_000),
            ("2026-11-30T02:45:00-05:30", 1_796_026_500_000_000_000),
            ("2026-11-30T08:15:00.5Z", 1_796_026_500_500_000_000),
            ("2026-11-30T08:15:00.123456789Z", 1_796_026_500_123_456_789),
            ("2028-02-29T00:00:00Z", 1_835_395_200_000_000_000),
        ] as [(String, UInt64)])
    func `a time with its zone is read to the nanosecond`(text: String, nanoseconds: UInt64) {
        #expect(UTCTime(argument: text)?.wall == WallTime(nanoseconds))
    }

    @Test(arguments: [
        "", "now", "2026-11-30", "2026-11-30T08:15:00", "2026-11-30 08:15:00Z",
        "2026-11-30T08:15Z", "2026-11-30T08:15:00Z+01:00", "2026-11-30T08:15:00.Z",
        "2026-02-31T00:00:00Z", "2027-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-11-30T08:15:00.1234567890Z", "1969-12-31T23:59:59Z", "99999-01-01T00:00:00Z",
    ])
    func `what could be another moment is none`(text: String) {
        #expect(UTCTime(argument: text) == nil)
    }

    @Test(arguments: [0, 1_796_026_500_123_456_789, 1_796_026_500_000_000_001] as [UInt64])
    func `a moment that is shown can be asked for`(nanoseconds: UInt64) {
        let shown = Words.moment(nanoseconds)
        #expect(UTCTime(argument: shown)?.wall == WallTime(nanoseconds), "\(shown)")
    }

    @Test func `what was written at the moment is in it, and nothing behind it`() {
        func entry(_ index: UInt64, _ time: UInt64) -> Entry {
            Draft(.blank, epoch: Epoch(1)).sealed(
                at: Position(index: LogIndex(index), term: Term(1)), group: GroupID(1),
                time: WallTime(time))
        }
        let time = RestoreMoment.time(WallTime(50))
        #expect(!time.isPassed(by: entry(9, 50)) && time.isPassed(by: entry(9, 51)))
        #expect(!time.isReached(entry(9, 50).position))
        let index = RestoreMoment.index(LogIndex(9))
        #expect(!index.isPassed(by: entry(9, 99)) && index.isPassed(by: entry(10, 1)))
        #expect(index.isReached(entry(9, 1).position) && !index.isReached(entry(8, 1).position))
        #expect(!RestoreMoment.latest.isPassed(by: entry(99, 99)))
        #expect(!RestoreMoment.latest.isReached(entry(99, 99).position))
    }
}
