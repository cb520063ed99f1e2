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
        // Whoever has it open would go on with what has no name any more.
        guard try !OpenFile(leaf, O_RDONLY | O_NOFOLLOW, in: folder).isLocked() else {
            throw .volume(
                "\(path) is locked by a program that uses it: it is not replaced\n  Stop the guest that runs from it first."
            )
        }
        return status
    }

    func syncFolder() throws(BackupFailure) {
        guard fsync(folder.number) == 0 else { throw folder.failure("sync") }
    }
}

/// What an image is called while it is restored. It stays when a restore ends early, so that another one goes on from it; two
/// at once would write into each other's, so it is locked.
final class PartialFile: Sendable {
    static let suffix = ".holdfast-partial"
    /// Whoever ends just now takes it away before us; again and again only if somebody means to.
    private static let triesMax = 10

    let place: ImagePlace
    let file: OpenFile
    private let leaf: String

    init(_ place: ImagePlace) throws(BackupFailure) {
        self.place = place
        leaf = place.leaf + Self.suffix
        for _ in 0..<Self.triesMax {
            let file = try OpenFile(
                leaf, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, in: place.folder)
            guard flock(file.number, LOCK_EX | LOCK_NB) == 0 else {
                throw .volume("another restore to \(place.path) is under way")
            }
            guard let own = try Self.own(file, leaf, in: place) else { continue }
            self.file = own
            return
        }
        throw .volume("others restore to \(place.path) again and again")
    }

    /// nil where the name is another file's meanwhile: the one before us ended between our opening it and locking it.
    static func own(
        _ file: OpenFile, _ leaf: String, in place: ImagePlace
    ) throws(BackupFailure) -> OpenFile? {
        let status = try file.status()
        var named = stat()
        guard unsafe fstatat(place.folder.number, leaf, &named, AT_SYMLINK_NOFOLLOW) == 0,
            named.st_ino == status.st_ino, named.st_dev == status.st_dev
        else { return nil }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1,
            status.st_uid == geteuid()
        else {
            throw .volume(
                "\(place.path)\(suffix) is not what a restore left there: nothing is written into it\n  Move it away."
            )
        }
        return file
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
        guard fchown(file.number, replaced.st_uid, replaced.st_gid) == 0,
            fchmod(file.number, replaced.st_mode & 0o7777) == 0
        else { throw file.failure("give the owner and rights of \(place.path) to") }
        guard unsafe renameat(folder, leaf, folder, name) == 0 else {
            throw file.failure("give the name \(name) to")
        }
    }

    func delete() { _ = unsafe unlinkat(place.folder.number, leaf, 0) }
}
