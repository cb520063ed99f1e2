internal import CNaming
internal import Glibc
internal import NIOConcurrencyHelpers
package import Repository

/// Objects as files below one directory.
package final class DirectoryStore: ObjectStore {
    /// Larger ones are nobody's.
    package static let byteCountMax = 64 << 20
    /// Neither is an object's name. Files on their way in, which are locked while somebody writes them; and
    /// what was taken out of the way.
    static let unfinished = ".tmp"
    static let quarantine = ".quarantine"

    package let path: String
    let root: Descriptor
    /// Directories of which this process knows that a power cut would leave them.
    private let lasting = NIOLockedValueBox<Set<String>>([])

    /// The directory has to be there: one that is missing may be a disk that is not mounted. It is the same one for
    /// as long as the store is open, whatever is mounted over it.
    package init(_ path: String) throws(ObjectStoreFailure) {
        self.path = path
        guard let root = Descriptor(path, O_RDONLY | O_DIRECTORY) else {
            throw Self.failure("open", "it", in: path)
        }
        self.root = root
        try sweep()
    }

    package var copies: [StoreCopy] { [StoreCopy(path, self)] }

    package func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome
    {
        guard bytes.count <= Self.byteCountMax else {
            throw ObjectStoreFailure("store", name.text, in: path, .oversized(bytes.count))
        }
        let place = try Place(name, in: self, making: true)
        let folder = try directory([Self.unfinished], making: true, "store", name.text)
        let temporary = try TemporaryFile.holding(
            bytes, in: folder.number, of: self, for: name)
        let outcome = try temporary.name(place, of: self, name) { () throws(ObjectStoreFailure) in
            do throws(ObjectStoreFailure) { return try get(name, nil) == bytes } catch {
                // Deleted since it stood in the way.
                if error.cause == .missing { return nil }
                throw error
            }
        }
        // Also where it was there: whoever put it may have died before this.
        guard place.directory.sync() else { throw failure("store", name) }
        return outcome
    }

    package func get(
        _ name: ObjectName, _ range: Range<Int>?
    ) throws(ObjectStoreFailure) -> [UInt8] {
        let place = try Place(name, in: self, making: false, deed: "read")
        guard
            let file = Descriptor(place.leaf, in: place.directory.number, O_RDONLY | O_NOFOLLOW)
        else { throw failure("read", name) }
        let count = try byteCount(file, name)
        let range = range ?? 0..<count
        guard range.upperBound <= count else {
            let cause = ObjectStoreFailure.Cause.short(wanted: range.upperBound, have: count)
            throw ObjectStoreFailure("read", name.text, in: path, cause)
        }
        return try read(file, range, name)
    }

    private func byteCount(
        _ file: borrowing Descriptor, _ name: ObjectName
    ) throws(ObjectStoreFailure) -> Int {
        var status = stat()
        guard unsafe fstat(file.number, &status) == 0 else { throw failure("read", name) }
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
        _ file: borrowing Descriptor, _ range: Range<Int>, _ name: ObjectName
    ) throws(ObjectStoreFailure) -> [UInt8] {
        var got = 0
        var code: Int32 = 0
        let number = file.number
        let bytes = [UInt8](capacity: range.count) { room in
            unsafe room.withUnsafeMutableBufferPointer { room, made in
                while got < range.count {
                    let at = unsafe room.baseAddress.map { unsafe $0 + got }
                    let count = unsafe pread(
                        number, at, range.count - got, off_t(range.lowerBound + got))
                    if count < 0, errno == EINTR { continue }
                    if count <= 0 {
                        code = count < 0 ? errno : 0
                        break
                    }
                    got += count
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
        let place: Place
        do throws(ObjectStoreFailure) {
            place = try Place(name, in: self, making: false, deed: "delete")
        } catch {
            guard error.cause == .missing else { throw error }
            return false
        }
        let isGone = unsafe unlinkat(place.directory.number, place.leaf, 0) == 0
        guard isGone || errno == ENOENT else { throw failure("delete", name) }
        // Also where it was gone: whoever deleted it may have died before this.
        guard place.directory.sync() else { throw failure("delete", name) }
        return isGone
    }

    package func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {
        let place = try Place(name, in: self, making: false, deed: "quarantine")
        let folder = try directory([Self.quarantine], making: true, "quarantine", name.text)
        guard
            unsafe holdfast_name_new(
                place.directory.number, place.leaf, folder.number, Self.asideName(name)) == 0
        else { throw failure("quarantine", name) }
        guard folder.sync(), place.directory.sync() else { throw failure("quarantine", name) }
    }

    package func replace(
        _ name: ObjectName, with bytes: [UInt8]
    ) throws(ObjectStoreFailure) {
        let place = try Place(name, in: self, making: true, deed: "replace")
        let unfinished = try directory([Self.unfinished], making: true, "replace", name.text)
        let temporary = try TemporaryFile.holding(
            bytes, in: unfinished.number, of: self, for: name)
        let folder = try directory([Self.quarantine], making: true, "replace", name.text)
        // A second name, so that there is none without bytes at any moment.
        let isKept =
            unsafe linkat(
                place.directory.number, place.leaf, folder.number, Self.asideName(name), 0) == 0
        guard isKept || errno == ENOENT, folder.sync(), temporary.take(place),
            place.directory.sync()
        else { throw failure("replace", name) }
    }

    private static func asideName(_ name: ObjectName) -> String {
        name.flattened + String(UInt64.random(in: 0 ... .max), radix: 36)
    }

    package func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int {
        let folder: Descriptor
        do throws(ObjectStoreFailure) {
            folder = try directory([Self.quarantine], making: false, "empty", Self.quarantine)
        } catch {
            guard error.cause == .missing else { throw error }
            return 0
        }
        var count = 0
        for case .text(let name) in try entries(folder, "empty", Self.quarantine)
        where name.hasPrefix(part.flattened) {
            guard unsafe unlinkat(folder.number, name, 0) == 0 || errno == ENOENT else {
                throw Self.failure("delete", "\(Self.quarantine)/\(name)", in: path)
            }
            count += 1
        }
        guard folder.sync() else { throw Self.failure("empty", Self.quarantine, in: path) }
        return count
    }

    // What follows walks from the root by single steps, none of which is a link.

    /// The directory of these parts, made where it is missing.
    func directory(
        _ parts: [Substring], making: Bool, _ deed: String, _ what: String
    ) throws(ObjectStoreFailure) -> Descriptor {
        var status = stat()
        guard unsafe fstat(root.number, &status) == 0 else {
            throw Self.failure(deed, what, in: path)
        }
        guard status.st_nlink > 0 else {
            throw ObjectStoreFailure(deed, what, in: path, .storeGone)
        }
        guard var directory = Descriptor(".", in: root.number, O_RDONLY | O_DIRECTORY) else {
            throw Self.failure(deed, what, in: path)
        }
        var walked = ""
        for part in parts {
            walked += "/\(part)"
            if making { try make(String(part), in: directory, walked, deed, what) }
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
            guard let next = Descriptor(String(part), in: directory.number, flags) else {
                throw Self.failure(deed, what, in: path)
            }
            directory = next
        }
        return directory
    }

    func directory(
        _ parts: [String], making: Bool, _ deed: String, _ what: String
    ) throws(ObjectStoreFailure) -> Descriptor {
        try directory(parts.map { $0[...] }, making: making, deed, what)
    }

    private func make(
        _ part: String, in parent: borrowing Descriptor, _ walked: String, _ deed: String,
        _ what: String
    ) throws(ObjectStoreFailure) {
        if lasting.withLockedValue({ $0.contains(walked) }) { return }
        guard unsafe mkdirat(parent.number, part, 0o700) == 0 || errno == EEXIST else {
            throw Self.failure(deed, what, in: path)
        }
        // Also where it was there: whoever made it may have died before this.
        guard parent.sync() else { throw Self.failure(deed, what, in: path) }
        lasting.withLockedValue { _ = $0.insert(walked) }
    }

    /// Removes what writers left that are no more: a key that was deleted must not live on there.
    private func sweep() throws(ObjectStoreFailure) {
        let folder = try directory([Self.unfinished], making: true, "open", "it")
        for entry in try entries(folder, "open", "it") {
            guard case .text(let name) = entry,
                let file = Descriptor(name, in: folder.number, O_RDONLY | O_NOFOLLOW),
                flock(file.number, LOCK_EX | LOCK_NB) == 0
            else { continue }
            _ = unsafe unlinkat(folder.number, name, 0)
        }
    }

    func failure(_ deed: String, _ name: ObjectName) -> ObjectStoreFailure {
        Self.failure(deed, name.text, in: path)
    }

    static func failure(
        _ deed: String, _ what: String, in path: String, _ code: Int32 = errno
    ) -> ObjectStoreFailure {
        let cause: ObjectStoreFailure.Cause =
            switch code {
            case ENOENT: .missing
            case ENOSPC, EDQUOT: .full
            case EACCES, EPERM: .denied
            case EROFS: .readOnly
            case ELOOP, ENOTDIR, EISDIR, ENXIO: .notAnObject
            default: .system(code: code, words: unsafe String(cString: strerror(code)))
            }
        return ObjectStoreFailure(deed, what, in: path, cause)
    }
}

/// Where an object's file lies.
struct Place: ~Copyable {
    let directory: Descriptor
    let leaf: String

    init(
        _ name: ObjectName, in store: DirectoryStore, making: Bool, deed: String = "store"
    ) throws(ObjectStoreFailure) {
        let parts = name.text.split(separator: "/")
        leaf = String(parts[parts.count - 1])
        directory = try store.directory(
            parts.dropLast().map(\.self), making: making, deed, name.text)
    }
}
