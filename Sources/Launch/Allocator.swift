internal import CAllocator

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

    /// Gives back the code that only starting needed: two thirds of what a process that has little to
    /// do keeps resident. What is still needed comes back at a touch, from the page cache.
    package static func forgetStart() { holdfast_unmap_code() }
}
