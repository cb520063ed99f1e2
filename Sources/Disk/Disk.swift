/// A file that was opened; lawful only on the disk that gave it.
@usableFromInline package struct FileHandle: Hashable, Sendable {
    @usableFromInline package let rawValue: Int
    @inlinable package init(rawValue: Int) { self.rawValue = rawValue }
}

/// The seam between pure storage logic and a directory of real or simulated files.
///
/// Nothing survives a power cut before `sync` (a file's bytes) or `syncDirectory` (names: creation,
/// renaming, removal) has returned. A failed sync is final: the caller stops and recovers from what
/// the disk holds (Rebello 2020, "Can Applications Recover from fsync Failures?").
package protocol Disk: Sendable {
    /// Names of all files, sorted.
    mutating func list() throws(DiskError) -> [String]
    /// Opens `name`, which must exist unless `create`; a created file is empty.
    mutating func open(_ name: String, create: Bool) throws(DiskError) -> FileHandle
    mutating func close(_ file: FileHandle)
    mutating func byteCount(_ file: FileHandle) throws(DiskError) -> UInt64
    /// Reads exactly `count` bytes; reading past the end is `.shortRead`.
    mutating func read(_ file: FileHandle, at offset: UInt64, count: Int) throws(DiskError)
        -> [UInt8]
    /// Writes the pieces one behind the other; extends the file where needed.
    mutating func write(_ file: FileHandle, at offset: UInt64, _ pieces: [[UInt8]])
        throws(DiskError)
    /// Sets the length; new bytes read as zero.
    mutating func resize(_ file: FileHandle, to byteCount: UInt64) throws(DiskError)
    /// Frees `range`, which from now on reads as zero.
    mutating func deallocate(_ file: FileHandle, _ range: Range<UInt64>) throws(DiskError)
    /// Makes `range`, which lies within the file, read as zero and keeps its space.
    mutating func zero(_ file: FileHandle, _ range: Range<UInt64>) throws(DiskError)
    /// Returns once all bytes written to `file` would survive a power cut (fdatasync).
    mutating func sync(_ file: FileHandle) throws(DiskError)
    mutating func rename(_ name: String, to other: String) throws(DiskError)
    mutating func remove(_ name: String) throws(DiskError)
    /// Returns once creations, renamings and removals would survive a power cut.
    mutating func syncDirectory() throws(DiskError)
}

extension Disk {
    /// For disks that know no shorter way than writing the zeros, a piece at a time.
    package mutating func zero(_ file: FileHandle, _ range: Range<UInt64>) throws(DiskError) {
        try writeZeros(file, range)
    }

    package mutating func writeZeros(_ file: FileHandle, _ range: Range<UInt64>) throws(DiskError) {
        let piece = [UInt8](repeating: 0, count: Swift.min(range.count, 1 << 20))
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = Int(Swift.min(UInt64(piece.count), range.upperBound - offset))
            try write(file, at: offset, [count == piece.count ? piece : Array(piece[..<count])])
            offset += UInt64(count)
        }
    }
}

/// A deed that the disk refused: what, on which file, and why.
package struct DiskError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Deed: String, Sendable {
        case list, open, stat, read, write, resize, deallocate, sync, rename, remove, syncDirectory
    }
    package enum Cause: Hashable, Sendable {
        case full
        case missing
        case shortRead(wanted: Int, got: Int)
        /// The system's errno.
        case system(Int32)
        /// The simulated machine lost power in mid-deed.
        case powerCut
    }
    package let deed: Deed
    package let file: String
    package let cause: Cause

    package init(_ deed: Deed, _ file: String, _ cause: Cause) {
        self.deed = deed
        self.file = file
        self.cause = cause
    }

    package var description: String {
        let reason =
            switch cause {
            case .full: "no space left"
            case .missing: "no such file"
            case .shortRead(let wanted, let got): "\(got) of \(wanted) bytes are there"
            case .system(let errno): "errno \(errno)"
            case .powerCut: "power cut"
            }
        return "cannot \(deed.rawValue) \(file): \(reason)"
    }
}
