internal import Repository

/// Where a backup's work is cut. The usual values are those that pay; tests take small ones, so that every cut is met.
package struct BackupLimits: Hashable, Sendable {
    /// Cells of one node of this level are a part: what is read and put into the map together.
    package var partLevel = 1
    /// Bytes that a thread reads at once.
    package var readByteCountMax: UInt64 = 4 << 20
    /// A pack is closed as soon as it has so many.
    package var packByteCountAimed = PackWriter.byteCountAimed
    /// An index is written as soon as so many blobs are durable that none tells of, or so many bytes of packs: whoever is
    /// killed does not store again what lies there.
    package var locationsPerIndex = 1 << 16
    package var packBytesPerIndex = 1 << 30
    /// Blocks of indexes that are kept, of 80 KiB each.
    package var indexBlocksKept = 256
    /// Of a segment, enough for its directory but where its packs are tiny.
    package var indexTailByteCount = 128 << 10
    /// Cells that a restore looks up before it fetches them, pack by pack.
    package var cellsPerFetch: UInt64 = 1 << 16
    /// Blobs that lie so near each other are fetched together, up to so many bytes.
    package var fetchGapByteCountMax = 64 << 10
    package var fetchByteCountMax = 4 << 20
    /// Cells that lie side by side are written together, up to so many bytes.
    package var writeByteCountMax = 1 << 20
    /// Nodes of maps that a reader keeps, of at most 8 KiB each.
    package var nodesKept = 1_024
    /// Of a volume that somebody looks into: what is fetched at once of what is read in its order, opened cells that are kept,
    /// how far is read ahead, and how many readers of such kind are known from each other.
    package var windowByteCount: UInt64 = 1 << 20
    package var openedByteCountKept: UInt64 = 64 << 20
    package var windowsAhead: UInt64 = 2
    package var windowsAheadAtOnce = 4
    package var windowsRemembered = 64

    package init() {}

    /// Threads that fill packs: each takes 50 MiB, so that a machine with many processors does not give its memory away.
    package static let writingThreadsMax = 4
    /// Threads that read back. They wait for disks as much as they compute.
    package static let readingThreadsMax = 8

    package static func writingThreads(processors: Int) -> Int {
        min(max(processors, 1), writingThreadsMax)
    }
    package static func readingThreads(processors: Int) -> Int {
        min(2 * max(processors, 1), readingThreadsMax)
    }

    /// How many cells one node of that level tells of.
    var cellsPerPart: UInt64 { 1 << (8 * UInt64(partLevel + 1)) }
}
