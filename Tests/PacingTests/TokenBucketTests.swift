import Mesh
import Pacing
import Testing

@Suite("A limit of bytes a second") struct TokenBucketTests {
    private static let start = Instant(nanoseconds: 5_000_000_000)

    /// Whoever takes, waits as told, and takes again, until `span` is over: how many bytes they came to.
    private func taken(
        _ bucket: inout TokenBucket, pieces: [UInt64], from: Instant, for span: Interval
    ) -> UInt64 {
        var (now, taken, next) = (from, UInt64(0), 0)
        while now < from + span {
            let count = pieces[next % pieces.count]
            now = now + bucket.take(count, at: now)
            (taken, next) = (taken + count, next + 1)
        }
        return taken
    }

    @Test(arguments: [
        [UInt64(16 << 20)], [4_096], [1, 16 << 20, 70_000], [3 << 20, 8 << 10, 8 << 10],
    ])
    func `in a minute as much is let through as the rate says, in whatever pieces`(
        pieces: [UInt64]
    ) {
        let rate: UInt64 = 50 << 20
        var bucket = TokenBucket(rate, at: Self.start)
        let taken = taken(&bucket, pieces: pieces, from: Self.start, for: .seconds(60))
        let largest = pieces.max() ?? 0
        #expect(taken >= rate * 60 && taken <= rate * 60 + largest)
    }

    @Test func `several that take together come to no more than one alone`() {
        let rate: UInt64 = 1 << 20
        var bucket = TokenBucket(rate, at: Self.start)
        var free = [Instant](repeating: Self.start, count: 4)
        var taken: UInt64 = 0
        while let (who, now) = free.enumerated().min(by: { $0.element < $1.element }),
            now < Self.start + .seconds(100)
        {
            free[who] = now + bucket.take(100_000, at: now)
            taken += 100_000
        }
        #expect(taken >= rate * 100 && taken <= rate * 100 + 4 * 100_000)
    }

    @Test func `what a pause left unused is not taken at once behind it`() {
        var bucket = TokenBucket(1_000_000, at: Self.start)
        let half = Interval.milliseconds(500)
        let later = Self.start + .seconds(61)
        // In a minute's pause a burst is saved up, and no more.
        let waits = [
            bucket.take(500_000, at: Self.start), bucket.take(500_000, at: Self.start + half),
            bucket.take(1_000_000, at: later), bucket.take(2_000_000, at: later),
        ]
        #expect(waits == [half, half, .zero, .seconds(2)])
    }

    @Test func `more than can be counted is waited for as long as can be told`() {
        var bucket = TokenBucket(0, at: Self.start)
        #expect(bucket.take(.max, at: Self.start) > .seconds(1 << 32))
    }
}
