internal import Disk
internal import Mesh

/// The sums in memory, a page of a sums file each. A page has one place where it may be; whatever lies
/// there goes, and is written first if it was changed.
struct SumPages: Sendable {
    static let pageByteCount = 4_096
    static let sumsPerPage: UInt64 = 1_024

    private struct Tag: Hashable, Sendable {
        let volume: VolumeID
        let file: FileHandle
        let page: UInt64
    }

    private var tags: [Tag?]
    private var bytes: [[UInt8]]
    private var isChanged: [Bool]

    /// `count` is a power of two.
    init(count: Int) {
        invariant(count > 0 && count & (count - 1) == 0, "\(count) places for pages of sums")
        tags = Array(repeating: nil, count: count)
        bytes = Array(repeating: [], count: count)
        isChanged = Array(repeating: false, count: count)
    }

    mutating func sum<D: Disk>(
        _ volume: VolumeID, _ file: FileHandle, _ block: UInt64, _ disk: inout D
    ) throws(DiskError) -> BlockSum {
        let page = block / Self.sumsPerPage
        let place = try load(Tag(volume: volume, file: file, page: page), &disk)
        let at = Int(block % Self.sumsPerPage) * 4
        return BlockSum(rawValue: UInt32(bytes[place].load(at: at, count: 4)))
    }

    mutating func set<D: Disk>(
        _ sum: BlockSum, _ volume: VolumeID, _ file: FileHandle, _ blocks: Range<UInt64>,
        _ disk: inout D
    ) throws(DiskError) {
        var block = blocks.lowerBound
        while block < blocks.upperBound {
            let page = block / Self.sumsPerPage
            let place = try load(Tag(volume: volume, file: file, page: page), &disk)
            let end = min(blocks.upperBound, (page + 1) * Self.sumsPerPage)
            for block in block..<end {
                let at = Int(block % Self.sumsPerPage) * 4
                bytes[place].store(UInt64(sum.rawValue), at: at, count: 4)
            }
            isChanged[place] = true
            block = end
        }
    }

    private mutating func load<D: Disk>(
        _ tag: Tag, _ disk: inout D
    ) throws(DiskError) -> Int {
        let spread = tag.page &+ (tag.volume.rawValue &* 0x9e37_79b9_7f4a_7c15) >> 40
        let place = Int(spread & UInt64(tags.count - 1))
        guard tags[place] != tag else { return place }
        try writeOut(place, &disk)
        tags[place] = nil
        bytes[place] = try disk.read(
            tag.file, at: tag.page * UInt64(Self.pageByteCount), count: Self.pageByteCount)
        tags[place] = tag
        return place
    }

    private mutating func writeOut<D: Disk>(_ place: Int, _ disk: inout D) throws(DiskError) {
        guard isChanged[place], let tag = tags[place] else { return }
        try disk.write(tag.file, at: tag.page * UInt64(Self.pageByteCount), [bytes[place]])
        isChanged[place] = false
    }

    /// After this the files hold what is here.
    mutating func writeOut<D: Disk>(_ disk: inout D) throws(DiskError) {
        for place in tags.indices { try writeOut(place, &disk) }
    }

    /// A volume goes, and what is known of its sums with it.
    mutating func forget(_ volume: VolumeID) {
        for place in tags.indices where tags[place]?.volume == volume {
            (tags[place], bytes[place], isChanged[place]) = (nil, [], false)
        }
    }
}
