internal import CNaming
internal import Glibc

/// The name that an image is to have, in a folder that is there.
final class ImagePlace: Sendable {
    let path: String
    let folder: OpenFile
    let leaf: String

    init(_ path: String) throws(BackupFailure) {
        let slash = path.lastIndex(of: "/")
        self.path = path
        leaf = slash.map { String(path[path.index(after: $0)...]) } ?? path
        guard !["", ".", ".."].contains(leaf) else {
            throw .volume("\(path) names no file: say what the image shall be called")
        }
        let above = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        folder = try OpenFile(above, O_RDONLY | O_DIRECTORY)
    }

    /// What has the name now; a link that leads nowhere has it too.
    var status: stat? {
        var status = stat()
        return unsafe fstatat(folder.number, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status : nil
    }

    /// Refuses where something has the name that must stay; what is there otherwise.
    @discardableResult
    func check(_ existing: ImageTarget.Existing) throws(BackupFailure) -> stat? {
        guard let status else { return nil }
        guard existing == .replaced else {
            throw .volume("\(path) is there already: nothing is restored over it")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .volume("\(path) is no regular file: only such a one is replaced")
        }
        guard geteuid() == 0 || geteuid() == status.st_uid else {
            throw .volume(
                "\(path) belongs to another user, whose it would not be any more: only root replaces it"
            )
        }
        // Whoever has it open would go on with what has no name any more.
        guard try !OpenFile(leaf, O_RDONLY | O_NOFOLLOW, in: folder).isLocked() else {
            throw .volume(
                "\(path) is locked by a program that uses it: it is not replaced\n  Stop the guest that runs from it first."
            )
        }
        return status
    }

    /// Who owns a file that this process makes there.
    func ownerOfWhatIsMade() -> uid_t? {
        let name = leaf + "." + String(UInt64.random(in: 0 ... .max), radix: 36)
        let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
        guard let file = try? OpenFile(name, flags, in: folder) else { return nil }
        defer { _ = unsafe unlinkat(folder.number, name, 0) }
        return try? file.status().st_uid
    }

    func syncFolder() throws(BackupFailure) {
        guard fsync(folder.number) == 0 else { throw folder.failure("sync") }
    }
}

/// What an image is called while it is restored. It stays when a restore ends early, so that another one goes on from it; two
/// at once would write into each other's, so it is locked.
final class PartialFile: Sendable {
    /// What is not gone on from has a name of its own: it must not cost what is.
    static func suffix(_ remains: ImageTarget.Remains) -> String {
        switch remains {
        case .kept: ".holdfast-partial"
        case .deleted: ".holdfast-temporary"
        }
    }
    /// Whoever ends just now takes it away before us; again and again only if somebody means to.
    private static let triesMax = 10

    let place: ImagePlace
    let file: OpenFile
    private let leaf: String

    /// `replaced` is what has the image's name now: a restore that ended between taking its owner and taking its name left ours to
    /// that one.
    init(
        _ place: ImagePlace, _ remains: ImageTarget.Remains, replacing replaced: stat?
    ) throws(BackupFailure) {
        self.place = place
        leaf = place.leaf + Self.suffix(remains)
        for _ in 0..<Self.triesMax {
            let (file, isNew) = try Self.open(leaf, in: place.folder)
            do throws(BackupFailure) { try Self.lock(file, place) } catch {
                if isNew { _ = unsafe unlinkat(place.folder.number, leaf, 0) }
                throw error
            }
            guard let status = try Self.status(file, leaf, in: place) else { continue }
            guard isNew || Self.isOurs(status, replaced, in: place) else {
                throw .volume(
                    "\(place.folder.path)/\(leaf) is not what a restore left there: nothing is written into it\n  Move it away."
                )
            }
            self.file = file
            return
        }
        throw .volume("others restore to \(place.path) again and again")
    }

    private static func open(
        _ leaf: String, in folder: OpenFile
    ) throws(BackupFailure) -> (OpenFile, isNew: Bool) {
        let flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK
        do throws(BackupFailure) {
            return (try OpenFile(leaf, flags | O_CREAT | O_EXCL, in: folder), true)
        } catch { return (try OpenFile(leaf, flags | O_CREAT, in: folder), false) }
    }

    private static func lock(_ file: OpenFile, _ place: ImagePlace) throws(BackupFailure) {
        while flock(file.number, LOCK_EX | LOCK_NB) != 0 {
            switch errno {
            case EINTR: continue
            case EWOULDBLOCK: throw .volume("another restore to \(place.path) is under way")
            default: throw file.failure("lock")
            }
        }
    }

    /// nil where the name is another file's meanwhile: the one before us ended between our opening it and locking it.
    static func status(
        _ file: OpenFile, _ leaf: String, in place: ImagePlace
    ) throws(BackupFailure) -> stat? {
        let status = try file.status()
        var named = stat()
        guard unsafe fstatat(place.folder.number, leaf, &named, AT_SYMLINK_NOFOLLOW) == 0,
            named.st_ino == status.st_ino, named.st_dev == status.st_dev
        else { return nil }
        return status
    }

    /// Whoever else could write into it could do so behind our back. On some mounts what we make is not ours, but somebody's of
    /// whom the mount says so.
    private static func isOurs(_ status: stat, _ replaced: stat?, in place: ImagePlace) -> Bool {
        guard status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1 else { return false }
        return status.st_uid == geteuid() || status.st_uid == replaced?.st_uid
            || status.st_uid == place.ownerOfWhatIsMade()
    }

    /// Gives it the image's name.
    func name(_ existing: ImageTarget.Existing) throws(BackupFailure) {
        let (folder, name) = (place.folder.number, place.leaf)
        guard let replaced = try place.check(existing) else {
            // Never over what somebody put there meanwhile.
            guard unsafe holdfast_name_new(folder, leaf, folder, name) == 0 else {
                throw file.failure("give the name \(name) to")
            }
            return
        }
        // A group that we may not give gets no rights, nor does ours in its place.
        let hasGroup = fchown(file.number, replaced.st_uid, replaced.st_gid) == 0
        let rights = replaced.st_mode & (hasGroup ? 0o7777 : 0o707)
        guard hasGroup || fchown(file.number, replaced.st_uid, gid_t.max) == 0,
            fchmod(file.number, rights) == 0
        else { throw file.failure("give the owner and rights of \(place.path) to") }
        guard unsafe renameat(folder, leaf, folder, name) == 0 else {
            throw file.failure("give the name \(name) to")
        }
    }

    func delete() { _ = unsafe unlinkat(place.folder.number, leaf, 0) }
}
