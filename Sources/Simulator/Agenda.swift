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
    private var items: [Item] = []
    /// Stands where nothing does: to let go of an optional the runtime is asked how.
    private let filler: Item
    private var free: [Int] = []
    private var numbers: UInt64 = 0

    init(filler: Item) { self.filler = filler }

    var isEmpty: Bool { heap.isEmpty }

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
        Self.lift(slot, &slots)
    }

    // In a span, for each write to an array asks whether it is shared.
    private static func lift(_ slot: Slot, _ slots: inout MutableSpan<Slot>) {
        var child = slots.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard slot.precedes(slots[parent]) else { break }
            slots[child] = slots[parent]
            child = parent
        }
        slots[child] = slot
    }

    /// Only where there is one.
    mutating func pop() -> (Moment, Item) {
        let top = heap[0]
        let last = heap.removeLast()
        if !heap.isEmpty {
            var slots = heap.mutableSpan
            Self.sink(last, &slots)
        }
        var item = filler
        swap(&item, &items[top.place])
        free.append(top.place)
        return (Moment(nanoseconds: top.at), item)
    }

    private static func sink(_ slot: Slot, _ slots: inout MutableSpan<Slot>) {
        var parent = 0
        while true {
            var least = 2 * parent + 1
            guard least < slots.count else { break }
            if least + 1 < slots.count, slots[least + 1].precedes(slots[least]) { least += 1 }
            guard slots[least].precedes(slot) else { break }
            slots[parent] = slots[least]
            parent = least
        }
        slots[parent] = slot
    }
}
