internal import Mesh

/// Drafts proposed and not known committed, in the order of their proposal: where they stand in
/// the log, and which of them the own log holds safely.
struct Flight: Sendable {
    struct Item: Sendable {
        let volume: VolumeID
        let number: UInt64
        var index = LogIndex.zero
    }

    private(set) var round = ProposalRound.zero
    private(set) var items = Fifo<Item>()
    /// How many from the front have a place, and how many of these are durable.
    private var placed = 0
    private var durable = 0
    /// Committed before their place was told; the telling is still to come.
    private var unplacedCommits = 0
    var durableThrough = LogIndex.zero

    mutating func append(_ volume: VolumeID, _ number: UInt64) {
        items.append(Item(volume: volume, number: number))
    }

    mutating func place(_ first: LogIndex, count: Int, round: ProposalRound) {
        guard round == self.round else { return }
        let past = min(count, unplacedCommits)
        unplacedCommits -= past
        for offset in past..<count where placed < items.count {
            items[placed].index = first.advanced(by: offset)
            placed += 1
        }
    }

    /// The next in order that the own log has come to hold.
    mutating func nextDurable() -> Item? {
        guard durable < placed, items[durable].index <= durableThrough else { return nil }
        defer { durable += 1 }
        return items[durable]
    }

    mutating func dropFirst(while isCommitted: (Item) -> Bool) {
        while let first = items.first, isCommitted(first) {
            items.popFirst()
            if placed > 0 { placed -= 1 } else { unplacedCommits += 1 }
            durable = max(0, durable - 1)
        }
    }

    /// What is told of the drafts so far counts no more, and neither does how far the log was
    /// durable: its end may have been replaced.
    mutating func forget() {
        self = Flight(round: round.next)
    }

    init() {}
    private init(round: ProposalRound) { self.round = round }
}
