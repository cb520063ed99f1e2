internal import Glibc

/// Keeps others from serving at the same path while this process lives: to look and then to bind is two steps, between which
/// somebody else could do the same.
package final class MountClaim: Sendable {
    private let path: String
    private let number: CInt

    /// Of a socket that is to lie at `path`.
    package init(of socket: String) throws(MountFailure) {
        let path = socket + ".lock"
        let number = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard number >= 0 else {
            throw .socket("cannot make \(path): \(unsafe String(cString: strerror(errno)))")
        }
        guard flock(number, LOCK_EX | LOCK_NB) == 0, Self.isThere(path, number) else {
            close(number)
            throw .socket("another mount serves at \(socket), or is about to: name another place")
        }
        // Only now: a claim that was refused must take nothing away at its end.
        (self.path, self.number) = (path, number)
    }

    /// Whoever ended in between took the file away that was locked here.
    private static func isThere(_ path: String, _ number: CInt) -> Bool {
        var (own, there) = (stat(), stat())
        guard unsafe fstat(number, &own) == 0, unsafe lstat(path, &there) == 0 else { return false }
        return own.st_ino == there.st_ino && own.st_dev == there.st_dev
    }

    deinit {
        _ = unsafe unlink(path)
        close(number)
    }
}
