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
        // Several times an event: without a check of each place.
        unsafe heap.withUnsafeMutableBufferPointer { heap in
            var child = heap.count - 1
            let slot = unsafe heap[child]
            while child > 0 {
                let parent = (child - 1) / 2
                guard unsafe slot.precedes(heap[parent]) else { break }
                unsafe heap[child] = unsafe heap[parent]
                child = parent
            }
            unsafe heap[child] = slot
        }
    }

    mutating func pop() -> (Moment, Item)? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty { sink(last) }
        // Moved out, and nothing written over: an item is costly to destroy.
        let item = unsafe items.withUnsafeMutableBufferPointer { items in
            defer { unsafe items.initializeElement(at: top.place, to: nil) }
            return unsafe items.moveElement(from: top.place)
        }
        guard let item else { return nil }
        free.append(top.place)
        return (Moment(nanoseconds: top.at), item)
    }

    private mutating func sink(_ slot: Slot) {
        unsafe heap.withUnsafeMutableBufferPointer { heap in
            var parent = 0
            while true {
                var least = 2 * parent + 1
                guard least < heap.count else { break }
                if least + 1 < heap.count, unsafe heap[least + 1].precedes(heap[least]) {
                    least += 1
                }
                guard unsafe heap[least].precedes(slot) else { break }
                unsafe heap[parent] = unsafe heap[least]
                parent = least
            }
            unsafe heap[parent] = slot
        }
    }
}
