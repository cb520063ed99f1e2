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
            let copy = fcntl(CInt(file.rawValue), F_DUPFD_CLOEXEC, 0)
            guard copy >= 0 else {
                let code = errno
                for copy in copies { _ = Glibc.close(copy.descriptor) }
                throw DiskError(.sync, name(file), .system(code))
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

    func sync() throws(DiskError) {
        for file in files where fdatasync(file.descriptor) != 0 {
            throw DiskError(.sync, file.name, .system(errno))
        }
    }
}
