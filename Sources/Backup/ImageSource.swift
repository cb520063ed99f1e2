internal import Glibc
package import Repository

/// A raw image on this machine, as a source: its holes are not read.
package final class ImageSource: CellSource {
    package let shape: VolumeShape
    package let allocated: [Range<UInt64>]
    private let file: OpenFile

    /// `cellByteCount` is that of an earlier backup of it: a volume keeps it for good.
    package init(_ path: String, cellByteCount: UInt64? = nil) throws(BackupFailure) {
        let file = try OpenFile(path, O_RDONLY)
        let byteCount = try file.byteCount()
        let shape =
            if let cellByteCount {
                VolumeShape(byteCount: byteCount, cellByteCount: cellByteCount)
            } else {
                VolumeShape(new: byteCount)
            }
        guard let shape else {
            throw .volume("\(path) has \(byteCount) bytes: no volume has so many")
        }
        (self.file, self.shape) = (file, shape)
        allocated = shape.cells(over: try file.data())
    }

    package func read(_ cells: Range<UInt64>) throws(BackupFailure) -> [UInt8] {
        let size = shape.cellByteCount
        return try file.read(
            at: cells.lowerBound * size, count: cells.count * Int(size), of: shape.byteCount)
    }
}
