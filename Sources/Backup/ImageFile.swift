internal import CDisk
internal import CNaming
internal import Glibc
internal import Mesh
internal import NIOConcurrencyHelpers
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
        allocated = try file.dataCells(shape)
    }

    package func read(_ cells: Range<UInt64>) throws(BackupFailure) -> [UInt8] {
        let size = shape.cellByteCount
        return try file.read(
            at: cells.lowerBound * size, count: cells.count * Int(size), of: shape.byteCount)
    }
}

/// A raw image that is being restored. It gets its name once all of it is on the disk: a restore that fails leaves
/// nothing that could be taken for one that did not.
package final class ImageTarget: CellTarget {
    private let folder: OpenFile
    private let leaf: String
    private let file: OpenFile
    /// What it is called until then; nobody else's.
    private let partial: String
    private let isNamed = NIOLockedValueBox(false)
    /// Bytes since the system was last asked to write, and not to keep.
    private let unsettled = NIOLockedValueBox(0)
    /// Few enough that the last sync has little left to do, and that a restore does not take the memory of guests.
    private static let unsettledByteCountMax = 16 << 20

    /// Refuses a path where something is already.
    package init(_ path: String, byteCount: UInt64) throws(BackupFailure) {
        let slash = path.lastIndex(of: "/")
        leaf = slash.map { String(path[path.index(after: $0)...]) } ?? path
        let above = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        folder = try OpenFile(above, O_RDONLY | O_DIRECTORY)
        var status = stat()
        guard unsafe fstatat(folder.number, leaf, &status, AT_SYMLINK_NOFOLLOW) != 0 else {
            throw .volume("\(path) is there already: nothing is restored over it")
        }
        partial = leaf + "." + String(UInt64.random(in: 0 ... .max), radix: 36) + ".partial"
        file = try OpenFile(partial, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, in: folder)
        guard ftruncate(file.number, off_t(byteCount)) == 0 else {
            throw file.failure("make room for \(byteCount) bytes in")
        }
    }

    package func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure) {
        try file.write(bytes, at: offset)
        let isDue = unsettled.withLockedValue { unsettled in
            unsettled += bytes.count
            guard unsettled >= Self.unsettledByteCountMax else { return false }
            unsettled = 0
            return true
        }
        // Linux begins to write what is not on the disk yet, and lets go of what is.
        if isDue { _ = posix_fadvise(file.number, 0, 0, POSIX_FADV_DONTNEED) }
    }

    /// Zeros from here on, without space of their own where the file system can do that.
    package func zero(_ range: Range<UInt64>) throws(BackupFailure) {
        guard !range.isEmpty else { return }
        let (start, count) = (Int64(range.lowerBound), Int64(range.upperBound - range.lowerBound))
        if holdfast_punch(file.number, start, count) == 0 { return }
        guard errno == EOPNOTSUPP else { throw file.failure("punch a hole into") }
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        var at = range.lowerBound
        while at < range.upperBound {
            let step = Int(min(UInt64(zeros.count), range.upperBound - at))
            try file.write(step == zeros.count ? zeros : Array(zeros[..<step]), at: at)
            at += UInt64(step)
        }
    }

    /// Longer by what reads zero.
    package func grow(to byteCount: UInt64) throws(BackupFailure) {
        guard ftruncate(file.number, off_t(byteCount)) == 0 else {
            throw file.failure("make room for \(byteCount) bytes in")
        }
    }

    /// All of it is durable, under its name, when this returns.
    package func finish() throws(BackupFailure) {
        guard fsync(file.number) == 0 else { throw file.failure("sync") }
        // Never over what somebody put there meanwhile.
        guard unsafe holdfast_name_new(folder.number, partial, folder.number, leaf) == 0 else {
            throw file.failure("give the name \(leaf) to")
        }
        isNamed.withLockedValue { $0 = true }
        guard fsync(folder.number) == 0 else { throw folder.failure("sync") }
    }

    deinit {
        if !isNamed.withLockedValue({ $0 }) { _ = unsafe unlinkat(folder.number, partial, 0) }
    }
}

/// An open file; every failure says which one.
private final class OpenFile: Sendable {
    // SEEK_DATA and SEEK_HOLE of Linux, which Swift's module of glibc lacks.
    private static let seekData: CInt = 3
    private static let seekHole: CInt = 4

    let number: CInt
    private let path: String

    init(_ path: String, _ flags: CInt, in folder: OpenFile? = nil) throws(BackupFailure) {
        self.path = folder.map { "\($0.path)/\(path)" } ?? path
        number = unsafe openat(folder?.number ?? AT_FDCWD, path, flags | O_CLOEXEC, 0o600)
        guard number >= 0 else {
            throw .volume("cannot open \(self.path): \(unsafe String(cString: strerror(errno)))")
        }
    }

    deinit { close(number) }

    func failure(_ deed: String, _ code: Int32 = errno) -> BackupFailure {
        .volume("cannot \(deed) \(path): \(unsafe String(cString: strerror(code)))")
    }

    func byteCount() throws(BackupFailure) -> UInt64 {
        let end = lseek(number, 0, SEEK_END)
        guard end >= 0 else { throw failure("measure") }
        return UInt64(end)
    }

    /// The cells that hold any data, as the file system has it.
    func dataCells(_ shape: VolumeShape) throws(BackupFailure) -> [Range<UInt64>] {
        var cells: [Range<UInt64>] = []
        var at: off_t = 0
        while true {
            let start = lseek(number, at, Self.seekData)
            if start < 0, errno == ENXIO { return cells }
            let end = start < 0 ? -1 : lseek(number, start, Self.seekHole)
            guard start >= 0, end > start else { throw failure("look for holes in") }
            let first = UInt64(start) / shape.cellByteCount
            let behind = (UInt64(end) - 1) / shape.cellByteCount + 1
            if let last = cells.last, last.upperBound >= first {
                cells[cells.count - 1] = last.lowerBound..<behind
            } else {
                cells.append(first..<behind)
            }
            at = end
        }
    }

    /// Behind the volume's end there are zeros; one that ends before was cut short by somebody.
    func read(
        at offset: UInt64, count: Int, of byteCount: UInt64
    ) throws(BackupFailure) -> [UInt8] {
        var (code, isShort): (Int32, Bool) = (0, false)
        let bytes = [UInt8](capacity: count) { room in
            unsafe room.withUnsafeMutableBufferPointer { room, made in
                var got = 0
                while got < count {
                    let at = unsafe room.baseAddress.map { unsafe $0 + got }
                    let step = unsafe pread(number, at, count - got, off_t(offset) + off_t(got))
                    if step < 0, errno == EINTR { continue }
                    if step <= 0 {
                        code = step < 0 ? errno : 0
                        isShort = offset + UInt64(got) < byteCount
                        break
                    }
                    got += step
                }
                for at in got..<count { unsafe room[at] = 0 }
                made = count
            }
        }
        guard code == 0 else { throw failure("read", code) }
        guard !isShort else { throw .volume("\(path) got shorter while it was read") }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure) {
        var done = 0
        while done < bytes.count {
            let step = unsafe bytes.withUnsafeBytes { all in
                unsafe pwrite(
                    number, all.baseAddress.map { unsafe $0 + done }, all.count - done,
                    off_t(offset) + off_t(done))
            }
            if step < 0, errno == EINTR { continue }
            guard step > 0 else { throw failure("write") }
            done += step
        }
    }
}
