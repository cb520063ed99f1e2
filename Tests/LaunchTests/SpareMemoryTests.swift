import Testing

@testable import Launch

@Suite("Memory that is given back") struct SpareMemoryTests {
    private let much = SpareMemory.byteCountMax + 1

    /// Whether it is given back where so much is free, one look after the other.
    private func looks(_ free: [Int]) -> [Bool] {
        var spare = SpareMemory()
        return free.map { spare.isDue(freeByteCount: $0) }
    }

    @Test func `what was given back is free, and not given back again`() {
        #expect(looks([much - 1, much, much, much]) == [false, true, false, false])
    }

    @Test func `what was taken of it and is free again is given back`() {
        #expect(
            looks([5 * much, 3 * much, 4 * much - 1, 4 * much, 4 * much])
                == [true, false, false, true, false])
    }
}
