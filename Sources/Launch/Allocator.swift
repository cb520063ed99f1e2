internal import CAllocator
internal import Dispatch

/// How this process keeps what it has freed.
package enum Allocator {
    /// What may stay at the heap's end, freed, until it is given back.
    private static var trimBytes: CInt { 1 << 20 }

    /// One arena for all threads, and what is freed goes back soon. By default each thread that finds
    /// an arena in use makes another, and a burst stays resident in every one of them.
    ///
    /// For a process that has little to do: its threads wait for each other here. Before the first
    /// thread is made.
    package static func keepSmall() { holdfast_keep_heap_small(trimBytes) }

    /// Enough for threads not to wait for each other; what a burst leaves in each stays resident.
    private static var arenasMax: CInt { 4 }
    /// Packs are longer; requests of guests and what a backup reads at once are mostly not.
    private static var mappedBytesMin: CInt { 4 << 20 }
    private static var busyTrimBytes: CInt { 16 << 20 }

    /// For a process that has much to do: what a burst of writes or a backup took goes back to the guests of the same host. By
    /// default some 360 MiB stay after a gigabyte was written. Before the first thread is made.
    package static func keepBounded() {
        holdfast_bound_heap(arenasMax, mappedBytesMin, busyTrimBytes)
    }

    /// Gives back what is free between what is not: what bursts left, before something takes much memory of its own. It takes
    /// some milliseconds, and others wait for it.
    package static func giveBack() { holdfast_trim_heap() }

    private static var lookedAfter: DispatchTimeInterval { .seconds(5) }
    private static let queue = DispatchQueue(label: "holdfast.heap", qos: .utility)

    /// Gives back now and then what bursts left, from now on: a gigabyte that guests wrote leaves up to 250 MB free in between, which
    /// the guests of the same host could use.
    package static func giveBackSpare() { look(SpareMemory()) }

    private static func look(_ spare: SpareMemory) {
        queue.asyncAfter(deadline: .now() + lookedAfter) {
            var spare = spare
            if spare.isDue(freeByteCount: holdfast_free_bytes()) { giveBack() }
            look(spare)
        }
    }

    /// Gives back the code that only starting needed: two thirds of what a process that has little to
    /// do keeps resident. What is still needed comes back at a touch, from the page cache.
    package static func forgetStart() { holdfast_unmap_code() }
}

/// Whether giving back is worth it. What was given back counts as free for as long as nobody takes it, so only what became free since
/// can be resident.
struct SpareMemory: Sendable {
    static let byteCountMax = 48 << 20

    /// The least that was free since it was given back: none of that is known to be resident.
    private var leastByteCount = 0

    mutating func isDue(freeByteCount: Int) -> Bool {
        leastByteCount = min(leastByteCount, freeByteCount)
        guard freeByteCount - leastByteCount > Self.byteCountMax else { return false }
        leastByteCount = freeByteCount
        return true
    }
}
