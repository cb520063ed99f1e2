internal import Mesh

/// The directed links between the members, and what the weather does to them.
struct Links {
    struct Link {
        var delay: Interval
        var jitter: Interval
        /// The spell that cuts it, if one does; so for the others.
        var cut: Int?
        var loss: (spell: Int, percent: UInt64)?
        var duplication: (spell: Int, percent: UInt64)?
        var reordering: (spell: Int, within: Interval)?
        var slow: (spell: Int, by: Interval)?
        var connection: UInt64 = 0
        var resetBy: Int?
        var lastArrival = Moment.zero
        /// Letters that may come once more.
        var past: [Parcel] = []
        var kept = 0

        /// The last few of every eighth: they reach back beyond an election.
        mutating func keep(_ parcel: Parcel) {
            kept += 1
            guard kept % 8 == 0, parcel.bytes.count <= 4_096 else { return }
            if past.count == 24 { past.removeFirst() }
            past.append(parcel)
        }
    }

    let count: Int
    private var links: [Link]

    init(_ count: Int, _ make: (_ from: Int, _ to: Int) -> Link) {
        self.count = count
        links = []
        for from in 0..<count { for to in 0..<count { links.append(make(from, to)) } }
    }

    subscript(from: Int, to: Int) -> Link {
        get { links[from * count + to] }
        _modify { yield &links[from * count + to] }
    }

    /// Ends what `spell` did to any link.
    mutating func calm(_ spell: Int) {
        for at in links.indices {
            if links[at].cut == spell { links[at].cut = nil }
            if links[at].loss?.spell == spell { links[at].loss = nil }
            if links[at].duplication?.spell == spell { links[at].duplication = nil }
            if links[at].reordering?.spell == spell { links[at].reordering = nil }
            if links[at].slow?.spell == spell { links[at].slow = nil }
        }
    }
}
