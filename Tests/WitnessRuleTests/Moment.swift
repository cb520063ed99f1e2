/// One moment of the whole group in 16 bytes, so that millions of them fit in memory. Indexes and
/// terms are 1...3 and 0 means none; an entry is named by its term, since a term has one leader.
struct Moment: Hashable {
    static let wide = 3
    private var left: UInt64 = 0
    private var right: UInt64 = 0

    private static func read(_ word: UInt64, _ at: Int, _ width: Int) -> Int {
        Int((word >> UInt64(at)) & ((1 << UInt64(width)) - 1))
    }

    private static func write(_ word: inout UInt64, _ at: Int, _ width: Int, _ value: Int) {
        let mask: UInt64 = ((1 << UInt64(width)) - 1) << UInt64(at)
        word = (word & ~mask) | (UInt64(value) << UInt64(at))
    }

    /// Three terms of two bits each, index 1 lowest. Below the witness's base they are 0.
    func log(_ voter: Int) -> Int { Self.read(left, 6 * voter, 6) }
    mutating func setLog(_ voter: Int, _ log: Int) { Self.write(&left, 6 * voter, 6, log) }

    func term(_ voter: Int) -> Int { Self.read(left, 30 + 2 * voter, 2) }
    mutating func setTerm(_ voter: Int, _ term: Int) { Self.write(&left, 30 + 2 * voter, 2, term) }

    /// 1 + the candidate that `voter` voted for in `term`; kept for ever, as a late letter would.
    func vote(_ term: Int, _ voter: Int) -> Int {
        Self.read(left, 40 + 6 * (term - 1) + 2 * voter, 2)
    }
    mutating func setVote(_ term: Int, _ voter: Int, _ vote: Int) {
        Self.write(&left, 40 + 6 * (term - 1) + 2 * voter, 2, vote)
    }

    /// What has ever been committed, though nobody may know it yet.
    var committed: Int {
        get { Self.read(left, 58, 6) }
        set { Self.write(&left, 58, 6, newValue) }
    }

    /// All that the leader of `term` ever had to send.
    func sent(_ term: Int) -> Int { Self.read(right, 6 * (term - 1), 6) }
    mutating func setSent(_ term: Int, _ log: Int) {
        Self.write(&right, 6 * (term - 1), 6, log)
    }

    /// The highest index that `voter` ever acknowledged to the leader of `term`.
    func match(_ term: Int, _ voter: Int) -> Int {
        Self.read(right, 18 + 10 * (term - 1) + 2 * voter, 2)
    }
    mutating func setMatch(_ term: Int, _ voter: Int, _ index: Int) {
        Self.write(&right, 18 + 10 * (term - 1) + 2 * voter, 2, index)
    }

    /// 1 + the leader of `term`.
    func leader(_ term: Int) -> Int { Self.read(right, 48 + 3 * (term - 1), 3) }
    mutating func setLeader(_ term: Int, _ leader: Int) {
        Self.write(&right, 48 + 3 * (term - 1), 3, leader)
    }

    /// The witness has forgotten everything up to this index but the term at it.
    var base: Int {
        get { Self.read(right, 57, 2) }
        set { Self.write(&right, 57, 2, newValue) }
    }

    /// The witness once answered a probe: it did not hold this index.
    func lacked(_ index: Int) -> Bool { Self.read(right, 58 + index, 1) != 0 }
    mutating func setLacked(_ index: Int) { Self.write(&right, 58 + index, 1, 1) }

    func precedes(_ other: Moment) -> Bool {
        left == other.left ? right < other.right : left < other.left
    }

    var hashed: UInt64 {
        var mixed = left &* 0x9E37_79B9_7F4A_7C15
        mixed ^= mixed >> 32
        mixed = (mixed ^ right) &* 0xD6E8_FEB8_6659_FD93
        mixed ^= mixed >> 32
        return mixed &* 0xD6E8_FEB8_6659_FD93
    }
}

/// Logs as three two-bit terms.
enum Terms {
    static func at(_ log: Int, _ index: Int) -> Int { (log >> (2 * (index - 1))) & 3 }

    static func count(_ log: Int) -> Int { log >= 16 ? 3 : log >= 4 ? 2 : log > 0 ? 1 : 0 }

    static func upTo(_ log: Int, _ index: Int) -> Int { log & ((1 << (2 * index)) - 1) }

    static func above(_ log: Int, _ index: Int) -> Int { log & ~((1 << (2 * index)) - 1) }

    static func only(_ log: Int, _ index: Int) -> Int { log & (3 << (2 * (index - 1))) }

    static func with(_ log: Int, _ index: Int, _ term: Int) -> Int {
        upTo(log, index - 1) | (term << (2 * (index - 1)))
    }

    /// Raft §5.4.1: the later last term is newer, then the longer log.
    static func position(_ log: Int) -> Int {
        let last = count(log)
        return last == 0 ? 0 : at(log, last) * 4 + last
    }
}
