internal import CNaming
internal import Glibc
internal import Repository

/// A file that is on the disk, and has no lasting name yet. It is locked, so that nobody takes it for what a
/// dead writer left.
struct TemporaryFile: ~Copyable {
    private static let triesMax = 3
    /// Of what is longer nothing stays in the system's memory: a backup stores more than there is of it, reads none of it
    /// soon, and would take it from the images that guests have open.
    private static let keptByteCountMax = 1 << 20

    private let folder: CInt
    private let name: String
    private let file: Descriptor

    private init(_ folder: CInt, _ name: String, _ file: consuming Descriptor) {
        self.folder = folder
        self.name = name
        self.file = file
    }

    static func holding(
        _ bytes: [UInt8], in folder: CInt, of store: DirectoryStore, for object: ObjectName
    ) throws(ObjectStoreFailure) -> TemporaryFile {
        let made = try locked(in: folder, of: store, for: object)
        let code = Self.write(bytes, made.file.number)
        guard code == 0, made.file.sync() else {
            throw DirectoryStore.failure(
                "store", object.text, in: store.path, code == 0 ? errno : code)
        }
        if bytes.count > keptByteCountMax {
            // Where that is not possible nothing is lost.
            _ = posix_fadvise(made.file.number, 0, 0, POSIX_FADV_DONTNEED)
        }
        return made
    }

    private static func locked(
        in folder: CInt, of store: DirectoryStore, for object: ObjectName
    ) throws(ObjectStoreFailure) -> TemporaryFile {
        for _ in 0..<triesMax {
            let name = String(UInt64.random(in: 0 ... .max), radix: 36)
            let flags = O_WRONLY | O_CREAT | O_EXCL
            guard let file = Descriptor(name, in: folder, flags, mode: 0o600) else {
                throw store.failure("store", object)
            }
            let made = TemporaryFile(folder, name, file)
            // Between its making and its lock another one may have opened the store, and swept it away.
            let isTaken = flock(made.file.number, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
            var status = stat()
            guard unsafe fstat(made.file.number, &status) == 0 else {
                throw store.failure("store", object)
            }
            if !isTaken, status.st_nlink > 0 { return made }
        }
        throw DirectoryStore.failure("store", object.text, in: store.path, EWOULDBLOCK)
    }

    /// 0, or what went wrong.
    private static func write(_ bytes: [UInt8], _ descriptor: CInt) -> Int32 {
        unsafe bytes.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let start = unsafe bytes.baseAddress.map { unsafe $0 + written }
                let count = unsafe Glibc.write(descriptor, start, bytes.count - written)
                if count < 0, errno == EINTR { continue }
                if count <= 0 { return count < 0 ? errno : EIO }
                written += count
            }
            return 0
        }
    }

    /// Gives it its name, or finds another there. `isSame` compares with that one; nil where it is gone again.
    borrowing func name(
        _ place: borrowing Place, of store: DirectoryStore, _ object: ObjectName,
        isSame: () throws(ObjectStoreFailure) -> Bool?
    ) throws(ObjectStoreFailure) -> PutOutcome {
        for _ in 0..<Self.triesMax {
            let code = unsafe holdfast_name_new(
                folder, name, place.directory.number, place.leaf)
            if code == 0 { return .stored }
            guard errno == EEXIST else { throw store.failure("store", object) }
            guard let isSame = try isSame() else { continue }
            guard isSame else {
                throw ObjectStoreFailure("store", object.text, in: store.path, .taken)
            }
            return .wasThere
        }
        throw ObjectStoreFailure("store", object.text, in: store.path, .missing)
    }

    /// Gives it that name, whatever has it. False, and `errno`, where that is not possible.
    borrowing func take(_ place: borrowing Place) -> Bool {
        unsafe renameat(folder, name, place.directory.number, place.leaf) == 0
    }

    deinit { _ = unsafe unlinkat(folder, name, 0) }
}
