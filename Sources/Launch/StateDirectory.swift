internal import Glibc
package import Settings
internal import Store

/// The directories that a daemon owns.
package enum StateDirectory {
    /// Another process runs on it.
    package struct Taken: Error, Hashable, Sendable, CustomStringConvertible {
        package let path: String
        package let holder: LockHolder?
        package var description: String {
            "\(holder.map { "\($0)" } ?? "another process") runs on \(path): only one may. "
                + "Stop it first, or give this node directories of its own"
        }
    }

    /// Makes them where they are missing, within a store that is there, and takes `run` for the life
    /// of this process; only the owner may enter.
    package static func prepare(_ settings: AgentSettings, _ parts: [String]) throws {
        for part in parts { try make("\(settings.node.data)/\(part)") }
        try make(settings.node.run)
        try take(settings.node.run)
    }

    /// Each part of `data` is locked by who writes it. The sockets in `run` would only be found to
    /// be another's one after the other, with the first of them taken over already.
    private static func take(_ path: String) throws {
        let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw StateFile.Failed(path: path, deed: "open", code: errno) }
        // Open from here on: the lock goes when the process goes.
        guard flock(directory, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            _ = close(directory)
            guard code == EWOULDBLOCK else {
                throw StateFile.Failed(path: path, deed: "lock", code: code)
            }
            throw Taken(path: path, holder: LockHolder(of: path))
        }
    }

    private static func make(_ path: String) throws(StateFile.Failed) {
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw StateFile.Failed(path: path, deed: "create directory", code: errno)
        }
    }
}
