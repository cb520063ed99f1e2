internal import CDisk
internal import CNaming
internal import Glibc
internal import NIOConcurrencyHelpers

/// A raw image that is being restored. It gets its name once all of it is on the disk: a restore that fails leaves
/// nothing that could be taken for one that did not.
package final class ImageTarget: HeldTarget {
    /// What becomes of a file that has the name already.
    package enum Existing: Sendable { case refused, replaced }
    /// What becomes of what an earlier restore of this name left, and of what this one leaves.
    package enum Remains: Sendable { case kept, deleted }

    private let existing: Existing
    private let remains: Remains
    private let partial: PartialFile
    private let isDone = NIOLockedValueBox(false)
    /// Bytes since the system was last asked to write, and not to keep.
    private let unsettled = NIOLockedValueBox(0)
    /// Few enough that the last sync has little left to do, and that a restore does not take the memory of guests.
    private static let unsettledByteCountMax = 16 << 20

    package static let partialSuffix = PartialFile.suffix(.kept)

    private var file: OpenFile { partial.file }

    package init(
        _ path: String, byteCount: UInt64, existing: Existing = .refused,
        remains: Remains = .deleted
    ) throws(BackupFailure) {
        let place = try ImagePlace(path)
        let status = try place.check(existing)
        let partial = try PartialFile(place, remains, replacing: status)
        (self.partial, self.existing, self.remains) = (partial, existing, remains)
        if remains == .deleted { try Self.resize(partial.file, 0) }
        try Self.resize(partial.file, byteCount)
    }

    /// The room that what an earlier restore of that name left takes.
    package static func remainingByteCount(of path: String) -> UInt64 {
        var status = stat()
        guard unsafe lstat(path + partialSuffix, &status) == 0 else { return 0 }
        return UInt64(status.st_blocks) * 512
    }

    /// Refuses what finishing an image of that name would be refused for, before anything is fetched.
    package static func checkReplacing(_ path: String) throws(BackupFailure) {
        try ImagePlace(path).check(.replaced)
    }

    package func held() throws(BackupFailure) -> [Range<UInt64>] { try file.data() }

    package func read(_ range: Range<UInt64>) throws(BackupFailure) -> [UInt8] {
        try file.read(at: range.lowerBound, count: range.count, of: range.upperBound)
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

    /// Nothing of it was written yet.
    package func empty() throws(BackupFailure) {
        let byteCount = try file.byteCount()
        try Self.resize(file, 0)
        try Self.resize(file, byteCount)
    }

    /// Longer by what reads zero.
    package func grow(to byteCount: UInt64) throws(BackupFailure) {
        try Self.resize(file, byteCount)
    }

    private static func resize(_ file: OpenFile, _ byteCount: UInt64) throws(BackupFailure) {
        guard ftruncate(file.number, off_t(byteCount)) == 0 else {
            throw file.failure("make room for \(byteCount) bytes in")
        }
    }

    /// All of it is durable, under its name, when this returns.
    package func finish() throws(BackupFailure) {
        guard fsync(file.number) == 0 else { throw file.failure("sync") }
        try partial.name(existing)
        isDone.withLockedValue { $0 = true }
        try partial.place.syncFolder()
    }

    /// There is no such image after all.
    package func discard() {
        let wasDone = isDone.withLockedValue { isDone in
            defer { isDone = true }
            return isDone
        }
        if !wasDone { partial.delete() }
    }

    deinit {
        // What holds nothing is nothing to go on from, and what filled the disk is in everybody's way.
        if remains == .deleted || file.isOutOfRoom || (try? file.data())?.isEmpty == true {
            discard()
        }
    }
}
