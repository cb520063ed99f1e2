internal import Glibc
package import Repository

extension DirectoryStore {
    /// A name in a directory: any bytes but `/` and zero.
    enum Entry {
        case text(String)
        /// No text; shown as well as it can be.
        case bytes(String)
    }

    package func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        var listing = ObjectListing()
        let what = part?.text ?? "all"
        let parts = part?.text.split(separator: "/") ?? []
        do throws(ObjectStoreFailure) {
            let directory = try directory(parts, making: false, "list", what)
            try list(directory, part?.text, what, into: &listing)
        } catch {
            // One is made with its first object.
            guard error.cause == .missing, part != nil else { throw error }
        }
        listing.objects.sort { $0.name < $1.name }
        listing.strangers.sort()
        return listing
    }

    private func list(
        _ directory: borrowing Descriptor, _ part: String?, _ what: String,
        into listing: inout ObjectListing
    ) throws(ObjectStoreFailure) {
        for entry in try entries(directory, "list", what) {
            guard case .text(let entry) = entry else {
                if case .bytes(let shown) = entry {
                    listing.strangers.append(part.map { "\($0)/\(shown)" } ?? shown)
                }
                continue
            }
            if part == nil, [Self.unfinished, Self.quarantine].contains(entry) { continue }
            let text = part.map { "\($0)/\(entry)" } ?? entry
            var status = stat()
            guard unsafe fstatat(directory.number, entry, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                // Deleted since the directory was read.
                if errno == ENOENT { continue }
                throw Self.failure("list", text, in: path)
            }
            switch (status.st_mode & S_IFMT, ObjectName(text)) {
            case (S_IFDIR, .some):
                let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
                guard let next = Descriptor(entry, in: directory.number, flags) else {
                    throw Self.failure("list", text, in: path)
                }
                try list(next, text, what, into: &listing)
            case (S_IFREG, .some(let name)):
                listing.objects.append(.init(name: name, byteCount: Int(status.st_size)))
            default: listing.strangers.append(text)
            }
        }
    }

    func entries(
        _ directory: borrowing Descriptor, _ deed: String, _ what: String
    ) throws(ObjectStoreFailure) -> [Entry] {
        // A stream of its own: closing one closes its descriptor, and reading one moves it.
        let copy = unsafe openat(directory.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = unsafe fdopendir(copy) else {
            let failure = Self.failure(deed, what, in: path)
            if copy >= 0 { _ = close(copy) }
            throw failure
        }
        defer { unsafe closedir(stream) }
        var entries: [Entry] = []
        errno = 0
        while let entry = unsafe readdir(stream) {
            let found = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(validatingCString: $0).map { .text($0) }
                        ?? Entry.bytes(String(cString: $0))
                }
            }
            entries.append(found)
            errno = 0
        }
        guard errno == 0 else { throw Self.failure(deed, what, in: path) }
        return entries.filter {
            if case .text(let name) = $0 { name != "." && name != ".." } else { true }
        }
    }
}
