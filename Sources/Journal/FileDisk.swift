internal import CDisk
package import Disk
import Glibc

/// A directory of files. The directory is locked while the process that opened it lives, so that no
/// second one can write the same journal.
package struct FileDisk: Disk {
    private let directory: CInt
    private(set) var files: [FileHandle: String] = [:]

    /// Opens and locks `path`, which must exist; `.system(EWOULDBLOCK)` says that another holds it.
    package init(_ path: String) throws(DiskError) {
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.error(.open, path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let error = Self.error(.open, path)
            _ = Glibc.close(descriptor)
            throw error
        }
        directory = descriptor
    }

    /// Closes all files and gives the lock back; the disk is not used after it.
    package mutating func shutDown() {
        for file in files.keys { _ = Glibc.close(CInt(file.rawValue)) }
        files = [:]
        _ = Glibc.close(directory)
    }

    private static func error(_ deed: DiskError.Deed, _ file: String) -> DiskError {
        let code = errno
        switch code {
        case ENOSPC, EDQUOT: return DiskError(deed, file, .full)
        case ENOENT: return DiskError(deed, file, .missing)
        default: return DiskError(deed, file, .system(code))
        }
    }

    func name(_ file: FileHandle) -> String { files[file] ?? "handle \(file.rawValue)" }

    private func check(_ result: CInt, _ deed: DiskError.Deed, _ file: String) throws(DiskError) {
        if result != 0 { throw Self.error(deed, file) }
    }

    package mutating func list() throws(DiskError) -> [String] {
        let copy = unsafe openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0 else { throw Self.error(.list, ".") }
        guard let stream = unsafe fdopendir(copy) else {
            let error = Self.error(.list, ".")
            _ = Glibc.close(copy)
            throw error
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if name != "." && name != ".." { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw Self.error(.list, ".") }
        return names.sorted()
    }

    package mutating func open(_ name: String, create: Bool) throws(DiskError) -> FileHandle {
        let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0)
        let descriptor = unsafe openat(directory, name, flags, 0o600)
        guard descriptor >= 0 else { throw Self.error(.open, name) }
        let handle = FileHandle(rawValue: Int(descriptor))
        files[handle] = name
        return handle
    }

    package mutating func close(_ file: FileHandle) {
        if files.removeValue(forKey: file) != nil { _ = Glibc.close(CInt(file.rawValue)) }
    }

    package mutating func byteCount(_ file: FileHandle) throws(DiskError) -> UInt64 {
        var status = stat()
        try check(unsafe fstat(CInt(file.rawValue), &status), .stat, name(file))
        return UInt64(status.st_size)
    }

    package mutating func read(_ file: FileHandle, at offset: UInt64, count: Int)
        throws(DiskError) -> [UInt8]
    {
        var failure: DiskError?
        // To clear what is read over at once took a sixth of the time of reading.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { all, done in
            while done < count {
                let got = unsafe pread(
                    CInt(file.rawValue), all.baseAddress?.advanced(by: done), count - done,
                    off_t(offset) + off_t(done))
                if got < 0 && errno == EINTR { continue }
                if got > 0 {
                    done += got
                    continue
                }
                failure =
                    got < 0
                    ? Self.error(.read, name(file))
                    : DiskError(.read, name(file), .shortRead(wanted: count, got: done))
                return
            }
        }
        if let failure { throw failure }
        return bytes
    }

    package mutating func write(_ file: FileHandle, at offset: UInt64, _ pieces: [[UInt8]])
        throws(DiskError)
    {
        var bytes = pieces.first ?? []
        if pieces.count > 1 {
            bytes.reserveCapacity(pieces.reduce(0) { $0 + $1.count })
            for piece in pieces.dropFirst() { bytes += piece }
        }
        var done = 0
        while done < bytes.count {
            let put = unsafe bytes.withUnsafeBytes { all in
                unsafe pwrite(
                    CInt(file.rawValue), all.baseAddress?.advanced(by: done), bytes.count - done,
                    off_t(offset) + off_t(done))
            }
            if put < 0 && errno == EINTR { continue }
            guard put > 0 else { throw Self.error(.write, name(file)) }
            done += put
        }
    }

    package mutating func resize(_ file: FileHandle, to byteCount: UInt64) throws(DiskError) {
        try check(ftruncate(CInt(file.rawValue), off_t(byteCount)), .resize, name(file))
    }

    package mutating func deallocate(_ file: FileHandle, _ range: Range<UInt64>)
        throws(DiskError)
    {
        guard !range.isEmpty else { return }
        let result = holdfast_punch(
            CInt(file.rawValue), Int64(range.lowerBound), Int64(range.count))
        // A file system without holes keeps the space.
        if result != 0, errno == EOPNOTSUPP { return try zero(file, range) }
        try check(result, .deallocate, name(file))
    }

    package mutating func zero(_ file: FileHandle, _ range: Range<UInt64>) throws(DiskError) {
        guard !range.isEmpty else { return }
        let result = holdfast_zero(
            CInt(file.rawValue), Int64(range.lowerBound), Int64(range.count))
        guard result != 0 else { return }
        guard errno == EOPNOTSUPP else { throw Self.error(.write, name(file)) }
        try writeZeros(file, range)
    }

    package mutating func sync(_ file: FileHandle) throws(DiskError) {
        try check(fdatasync(CInt(file.rawValue)), .sync, name(file))
    }

    package mutating func rename(_ name: String, to other: String) throws(DiskError) {
        try check(unsafe renameat(directory, name, directory, other), .rename, name)
    }

    package mutating func remove(_ name: String) throws(DiskError) {
        try check(unsafe unlinkat(directory, name, 0), .remove, name)
    }

    package mutating func syncDirectory() throws(DiskError) {
        try check(fsync(directory), .syncDirectory, ".")
    }
}
