internal import Mesh

/// What happens next, by time and then by the order of entry: a binary heap of places, so that
/// moving one costs no more than three numbers.
struct Agenda<Item> {
    private struct Slot {
        let at: UInt64
        let number: UInt64
        let place: Int
        @inline(__always)
        func precedes(_ other: Slot) -> Bool {
            at != other.at ? at < other.at : number < other.number
        }
    }

    private var heap: [Slot] = []
    private var items: [Item?] = []
    private var free: [Int] = []
    private var numbers: UInt64 = 0

    init() {}

    mutating func push(_ at: Moment, _ item: consuming Item) {
        numbers += 1
        let place: Int
        if let last = free.popLast() {
            place = last
            items[place] = item
        } else {
            place = items.count
            items.append(item)
        }
        let slot = Slot(at: at.nanoseconds, number: numbers, place: place)
        heap.append(slot)
        var slots = heap.mutableSpan
        Self.lift(slot, from: slots.count - 1, &slots)
    }

    private static func lift(_ slot: Slot, from hole: Int, _ slots: inout MutableSpan<Slot>) {
        var child = hole
        while child > 0 {
            let parent = (child - 1) / 2
            guard slot.precedes(slots[parent]) else { break }
            slots[child] = slots[parent]
            child = parent
        }
        slots[child] = slot
    }

    mutating func pop() -> (Moment, Item)? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            var slots = heap.mutableSpan
            Self.sink(last, &slots)
        }
        guard let item = items[top.place].take() else { return nil }
        free.append(top.place)
        return (Moment(nanoseconds: top.at), item)
    }

    /// The hole at the top goes all the way down, and the slot is lifted from there: it stood last, so it
    /// is hardly ever lifted far, and half of the comparisons are saved (Wegener 1993, "Bottom-up
    /// heapsort").
    private static func sink(_ slot: Slot, _ slots: inout MutableSpan<Slot>) {
        var hole = 0
        while 2 * hole + 1 < slots.count {
            var least = 2 * hole + 1
            if least + 1 < slots.count, slots[least + 1].precedes(slots[least]) { least += 1 }
            slots[hole] = slots[least]
            hole = least
        }
        lift(slot, from: hole, &slots)
    }
}
