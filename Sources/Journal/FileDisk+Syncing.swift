internal import CDisk
internal import Dispatch
package import Disk
internal import Glibc

extension FileDisk {
    /// Syncs these files when the deed that it gives is done, on whatever thread: they may be
    /// written and even closed meanwhile. A failure of it is as final as one of `sync`.
    package func syncing(_ files: [FileHandle]) throws(DiskError)
        -> @Sendable () throws(DiskError) -> Void
    {
        var copies: [(descriptor: CInt, file: FileHandle)] = []
        for file in files {
            // A number that was closed may be another file's by now.
            let isOpen = self.files[file] != nil
            let copy = isOpen ? fcntl(CInt(file.rawValue), F_DUPFD_CLOEXEC, 0) : -1
            guard copy >= 0 else {
                let cause: DiskError.Cause = isOpen ? .system(errno) : .missing
                for copy in copies { _ = Glibc.close(copy.descriptor) }
                throw DiskError(.sync, name(file), cause)
            }
            copies.append((copy, file))
        }
        let held = Descriptors(copies.map { ($0.descriptor, name($0.file)) })
        return { () throws(DiskError) in try held.sync() }
    }
}

/// Closes what it holds when nobody needs it any more, whether or not it was synced.
private final class Descriptors: Sendable {
    private let files: [(descriptor: CInt, name: String)]
    init(_ files: [(descriptor: CInt, name: String)]) { self.files = files }
    deinit { for file in files { _ = Glibc.close(file.descriptor) } }

    /// What is handed to the disk at once: a log on the same disk waits behind no more than this.
    private static let sliceByteCount: off_t = 2 << 20
    /// After a slice the disk is left to the log for as long as this many slices took.
    private static let pausesPerSlice: UInt64 = 2
    /// A slice without a dirty page takes less: no pause follows it.
    private static let pauseMin: UInt64 = 200_000
    /// Nanoseconds: what one pause adds to a checkpoint at most, however slow the disk is.
    private static let pauseMax: UInt64 = 20_000_000

    func sync() throws(DiskError) {
        for file in files {
            try writeBack(file)
            guard fdatasync(file.descriptor) == 0 else {
                throw DiskError(.sync, file.name, .system(errno))
            }
        }
    }

    /// Writes the file's dirty pages slice by slice, so that the sync behind it has little left, and
    /// with pauses: thousands of scattered pages at once fill a disk's queue for longer than a
    /// leader may be silent, and nobody waits for a checkpoint.
    private func writeBack(_ file: (descriptor: CInt, name: String)) throws(DiskError) {
        var status = stat()
        guard unsafe fstat(file.descriptor, &status) == 0 else {
            throw DiskError(.stat, file.name, .system(errno))
        }
        var offset: off_t = 0
        while offset < status.st_size {
            let began = DispatchTime.now().uptimeNanoseconds
            let done = holdfast_write_back(
                file.descriptor, Int64(offset), Int64(Self.sliceByteCount))
            guard done == 0 else {
                throw DiskError(.sync, file.name, .system(errno))
            }
            pause(after: DispatchTime.now().uptimeNanoseconds - began)
            offset += Self.sliceByteCount
        }
    }

    private func pause(after took: UInt64) {
        let wanted = min(took * Self.pausesPerSlice, Self.pauseMax)
        guard wanted >= Self.pauseMin else { return }
        usleep(UInt32(wanted / 1_000))
    }
}
