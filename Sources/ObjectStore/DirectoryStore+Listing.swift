internal import Glibc

extension DirectoryStore {
    package func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        var listing = ObjectListing()
        try list(part?.text, into: &listing)
        listing.objects.sort { $0.name < $1.name }
        listing.strangers.sort()
        return listing
    }

    private func list(
        _ part: String?, into listing: inout ObjectListing
    ) throws(ObjectStoreFailure) {
        for entry in try entries(of: part) {
            let text = part.map { "\($0)/\(entry)" } ?? entry
            if text == Self.unfinished { continue }
            var status = stat()
            guard unsafe lstat("\(path)/\(text)", &status) == 0 else {
                // Deleted since the directory was read.
                if errno == ENOENT { continue }
                throw Self.failure("list", text, in: path)
            }
            let name = ObjectName(text)
            switch (status.st_mode & S_IFMT, name) {
            case (S_IFDIR, .some): try list(text, into: &listing)
            case (S_IFREG, .some(let name)):
                listing.objects.append(.init(name: name, byteCount: Int(status.st_size)))
            default: listing.strangers.append(text)
            }
        }
    }

    /// Nothing where there is no such directory: one is made with its first object.
    private func entries(of part: String?) throws(ObjectStoreFailure) -> [String] {
        let directory = part.map { "\(path)/\($0)" } ?? path
        guard let stream = unsafe opendir(directory) else {
            if part != nil, errno == ENOENT { return [] }
            throw Self.failure("list", part ?? "all", in: path)
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
        guard errno == 0 else { throw Self.failure("list", part ?? "all", in: path) }
        return names
    }
}
