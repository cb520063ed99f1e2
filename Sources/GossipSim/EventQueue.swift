import Gossip
import Mesh

/// What happens next, by time and then by the order of posting: a binary heap.
struct EventQueue: Sendable {
    enum Item: Sendable {
        case deliver(from: Int, to: Int, [UInt8])
        case wake(Int, life: Int)
        case saved(Int, life: Int, Gossip.Persist)
        case resume(Int, life: Int)
    }

    private struct Slot: Sendable {
        let at: Instant
        let number: UInt64
        let item: Item
        func precedes(_ other: Slot) -> Bool { (at, number) < (other.at, other.number) }
    }

    private var heap: [Slot] = []
    private var numbers: UInt64 = 0

    var first: Instant? { heap.first?.at }

    mutating func push(_ at: Instant, _ item: Item) {
        numbers += 1
        heap.append(Slot(at: at, number: numbers, item: item))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> (Instant, Item)? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (top.at, top.item)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].precedes(heap[least]) {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
