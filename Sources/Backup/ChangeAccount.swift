internal import Repository

/// What a full backup says of the account by which the ones before it knew what to read (nasty-cases-backup B14).
package enum AccountStanding: Sendable {
    /// Nothing was compared: there was no earlier backup, or nobody knew what changed since.
    case untried
    /// All that differs from the backup before was told as changed.
    case right
    /// Those bytes differ, and the log told of no change there: backups of what changed can't be relied on since that one.
    case wrong([UntoldChange])
    /// Why nobody can say.
    case unknown(BackupFailure)
}

package struct UntoldChange: Hashable, Sendable, CustomStringConvertible {
    package let volume: String
    /// In their order.
    package let ranges: [Range<UInt64>]
    /// The number of the backup that it is compared with.
    package let since: UInt64

    package var description: String {
        let count = ranges.reduce(0) { $0 + $1.upperBound - $1.lowerBound }
        return "volume \(volume) differs from backup \(since) in \(count) bytes, first at "
            + "\(ranges.first?.lowerBound ?? 0), of which the log told no change"
    }
}

extension BackupReader {
    /// The bytes in which a volume differs from an earlier map of it, without those of which was `told` that they
    /// changed. Reads the maps, where they differ.
    func untold(
        _ map: VolumeMap, since older: VolumeMap, told: [Range<UInt64>]
    ) throws(BackupFailure) -> [Range<UInt64>] {
        let size = map.shape.cellByteCount
        var left = RangeSet(map.shape.cells(over: try changes(map, since: older)))
        left.subtract(RangeSet(map.shape.cells(over: told)))
        for range in left.ranges {
            // Another member may have kept space for what is a hole here: it reads the same.
            let now = try zeros(of: map, in: range)
            let before = try zeros(of: older, in: range)
            left.subtract(now.intersection(before))
        }
        return left.ranges.map {
            $0.lowerBound * size..<min($0.upperBound * size, map.shape.byteCount)
        }
    }
}

extension RangeSet where Bound == UInt64 {
    fileprivate init(_ ranges: [Range<UInt64>]) {
        self.init()
        for range in ranges { insert(contentsOf: range) }
    }
}
