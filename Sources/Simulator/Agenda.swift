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
        heap.append(Slot(at: at.nanoseconds, number: numbers, place: place))
        var child = heap.count - 1
        let slot = heap[child]
        while child > 0 {
            let parent = (child - 1) / 2
            guard slot.precedes(heap[parent]) else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = slot
    }

    mutating func pop() -> (Moment, Item)? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty { sink(last) }
        guard let item = items[top.place].take() else { return nil }
        free.append(top.place)
        return (Moment(nanoseconds: top.at), item)
    }

    private mutating func sink(_ slot: Slot) {
        var parent = 0
        while true {
            var least = 2 * parent + 1
            guard least < heap.count else { break }
            if least + 1 < heap.count, heap[least + 1].precedes(heap[least]) { least += 1 }
            guard heap[least].precedes(slot) else { break }
            heap[parent] = heap[least]
            parent = least
        }
        heap[parent] = slot
    }
}
