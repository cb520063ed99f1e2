internal import Repository
internal import Sealing

/// Ids of blobs, by the first 8 of their 32 bytes: that two ids share these may keep a blob that nobody needs, and loses none.
struct IDSet {
    private var words: [UInt64] = []
    private var sortedCount = 0
    private static let growthMin = 1 << 16

    mutating func insert(_ id: Digest) {
        words.append(id.words.0)
        if words.count >= max(2 * sortedCount, Self.growthMin) { settle() }
    }

    /// Has to come before the set is asked.
    mutating func settle() {
        guard words.count > sortedCount else { return }
        words.sort()
        var kept = 0
        for word in words where kept == 0 || words[kept - 1] != word {
            words[kept] = word
            kept += 1
        }
        words.removeLast(words.count - kept)
        sortedCount = kept
    }

    var count: Int { sortedCount }

    /// Its place among all; nil where it is none of them.
    func place(of id: Digest) -> Int? {
        let word = id.words.0
        let at = words.partitionPoint { $0 >= word }
        return at < words.count && words[at] == word ? at : nil
    }
}
