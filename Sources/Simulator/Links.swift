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
    }

    private struct Past {
        var letters: [Parcel] = []
        var count = 0
    }

    let count: Int
    private var links: [Link]
    /// Letters that may come once more.
    private var pasts: [Past]

    init(_ count: Int, _ make: (_ from: Int, _ to: Int) -> Link) {
        self.count = count
        links = []
        for from in 0..<count { for to in 0..<count { links.append(make(from, to)) } }
        pasts = Array(repeating: Past(), count: links.count)
    }

    subscript(from: Int, to: Int) -> Link {
        get { links[from * count + to] }
        _modify { yield &links[from * count + to] }
    }

    /// The last few of every eighth: they reach back beyond an election.
    mutating func keep(_ parcel: Parcel) {
        let at = parcel.from * count + parcel.to
        pasts[at].count += 1
        guard pasts[at].count % 8 == 0, parcel.bytes.count <= 4_096 else { return }
        if pasts[at].letters.count == 24 { pasts[at].letters.removeFirst() }
        pasts[at].letters.append(parcel)
    }

    func past(_ from: Int, _ to: Int) -> [Parcel] { pasts[from * count + to].letters }

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
