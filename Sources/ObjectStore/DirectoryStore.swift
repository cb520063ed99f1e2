internal import Glibc

/// Objects as files below one directory.
package struct DirectoryStore: ObjectStore {
    /// Larger ones are nobody's.
    package static let byteCountMax = 64 << 20
    /// Files on their way in; what a crash leaves there is nobody's.
    static let unfinished = "tmp"

    package let path: String

    /// The directory has to be there: one that is missing may be a disk that is not mounted.
    package init(_ path: String) throws(ObjectStoreFailure) {
        self.path = path
        guard try Self.isDirectory(path) else {
            throw ObjectStoreFailure("open", "it", in: path, .notAnObject)
        }
    }

    private static func isDirectory(_ path: String) throws(ObjectStoreFailure) -> Bool {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            throw failure("open", "it", in: path)
        }
        return status.st_mode & S_IFMT == S_IFDIR
    }

    package func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome
    {
        try makeDirectories(above: name)
        let temporary = try write(bytes, for: name)
        defer { _ = unsafe unlink(temporary) }
        // Unlike a rename a link takes nothing away: of two that come at once, one finds the other's.
        let outcome: PutOutcome
        if unsafe link(temporary, file(name)) == 0 {
            outcome = .stored
        } else {
            guard errno == EEXIST else { throw failure("store", name) }
            guard try get(name, nil) == bytes else {
                throw ObjectStoreFailure("store", name.text, in: path, .taken)
            }
            outcome = .wasThere
        }
        // Also where it was there: whoever linked it may have died before this.
        try sync(directory: parent(name), for: name)
        return outcome
    }

    package func get(
        _ name: ObjectName, _ range: Range<Int>?
    ) throws(ObjectStoreFailure) -> [UInt8] {
        let descriptor = unsafe open(file(name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw failure("read", name) }
        defer { _ = close(descriptor) }
        let count = try byteCount(descriptor, name)
        let range = range ?? 0..<count
        guard range.upperBound <= count else {
            let cause = ObjectStoreFailure.Cause.short(wanted: range.upperBound, have: count)
            throw ObjectStoreFailure("read", name.text, in: path, cause)
        }
        return try read(descriptor, range, name)
    }

    private func byteCount(
        _ descriptor: CInt, _ name: ObjectName
    ) throws(ObjectStoreFailure) -> Int {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure("read", name) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw ObjectStoreFailure("read", name.text, in: path, .notAnObject)
        }
        let count = Int(status.st_size)
        guard count <= Self.byteCountMax else {
            throw ObjectStoreFailure("read", name.text, in: path, .oversized(count))
        }
        return count
    }

    private func read(
        _ descriptor: CInt, _ range: Range<Int>, _ name: ObjectName
    ) throws(ObjectStoreFailure) -> [UInt8] {
        var got = 0
        var code: Int32 = 0
        let bytes = [UInt8](capacity: range.count) { room in
            unsafe room.withUnsafeMutableBufferPointer { room, made in
                while got < range.count, code == 0 {
                    let at = unsafe room.baseAddress.map { unsafe $0 + got }
                    let count = unsafe pread(
                        descriptor, at, range.count - got, off_t(range.lowerBound + got))
                    if count > 0 {
                        got += count
                    } else if count == 0 {
                        break
                    } else if errno != EINTR {
                        code = errno
                    }
                }
                made = got
            }
        }
        guard code == 0 else { throw Self.failure("read", name.text, in: path, code) }
        guard got == range.count else {
            let cause = ObjectStoreFailure.Cause.short(
                wanted: range.upperBound, have: range.lowerBound + got)
            throw ObjectStoreFailure("read", name.text, in: path, cause)
        }
        return bytes
    }

    package func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
        guard unsafe unlink(file(name)) == 0 else {
            if errno == ENOENT { return false }
            throw failure("delete", name)
        }
        try sync(directory: parent(name), for: name)
        return true
    }

    private func file(_ name: ObjectName) -> String { "\(path)/\(name.text)" }

    private func parent(_ name: ObjectName) -> String {
        guard let slash = name.text.lastIndex(of: "/") else { return path }
        return "\(path)/\(name.text[..<slash])"
    }

    private func makeDirectories(above name: ObjectName) throws(ObjectStoreFailure) {
        var directory = path
        for part in name.text.split(separator: "/").dropLast() {
            try make("\(directory)/\(part)", in: directory, name)
            directory += "/\(part)"
        }
        try make("\(path)/\(Self.unfinished)", in: path, name)
    }

    private func make(
        _ directory: String, in parent: String, _ name: ObjectName
    ) throws(ObjectStoreFailure) {
        if unsafe mkdir(directory, 0o700) == 0 { return try sync(directory: parent, for: name) }
        guard errno == EEXIST else { throw failure("store", name) }
    }

    /// A file that is on the disk, and has no lasting name yet.
    private func write(
        _ bytes: [UInt8], for name: ObjectName
    ) throws(ObjectStoreFailure) -> String {
        let number = UInt64.random(in: 0 ... .max)
        let temporary = "\(path)/\(Self.unfinished)/\(String(number, radix: 36))"
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("store", name) }
        var code = Self.write(bytes, descriptor)
        if code == 0, fsync(descriptor) != 0 { code = errno }
        if close(descriptor) != 0, code == 0 { code = errno }
        guard code == 0 else {
            _ = unsafe unlink(temporary)
            throw Self.failure("store", name.text, in: path, code)
        }
        return temporary
    }

    private static func write(_ bytes: [UInt8], _ descriptor: CInt) -> Int32 {
        unsafe bytes.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let start = unsafe bytes.baseAddress.map { unsafe $0 + written }
                let count = unsafe Glibc.write(descriptor, start, bytes.count - written)
                if count > 0 { written += count } else if errno != EINTR { return errno }
            }
            return 0
        }
    }

    private func sync(
        directory: String, for name: ObjectName
    ) throws(ObjectStoreFailure) {
        let descriptor = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("store", name) }
        defer { _ = close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("store", name) }
    }

    private func failure(_ deed: String, _ name: ObjectName) -> ObjectStoreFailure {
        Self.failure(deed, name.text, in: path)
    }

    static func failure(
        _ deed: String, _ what: String, in path: String, _ code: Int32 = errno
    ) -> ObjectStoreFailure {
        let cause: ObjectStoreFailure.Cause =
            switch code {
            case ENOENT: .missing
            case ENOSPC, EDQUOT: .full
            case EACCES, EPERM, EROFS: .denied
            case ELOOP, ENOTDIR, EISDIR: .notAnObject
            default: .system(code: code, words: unsafe String(cString: strerror(code)))
            }
        return ObjectStoreFailure(deed, what, in: path, cause)
    }
}
