internal import Glibc

/// A store that is made from a repository. What it holds before it is whole must never be taken for a node's data, so it has a
/// mark from before the first byte, and gets its identity last.
extension StoreDirectory {
    /// The mark: docs/formats/store.md.
    static let restoring = "restoring"

    /// Holds the directory for this process while it restores.
    package final class Hold: Sendable {
        private let mark: CInt
        fileprivate init(_ mark: CInt) { self.mark = mark }
        deinit { close(mark) }
    }

    /// Takes a directory that is empty, or what an earlier restore left that did not end: that goes. Anything else may be what
    /// a node has promised, and is refused.
    package func beginRestoring() throws -> Hold {
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
            if errno == ENOENT { throw StoreRefused.parentAbsent(self) }
            throw StateFile.Failed(path: path, deed: "create directory", code: errno)
        }
        try checkVacant()
        let name = "\(path)/\(Self.restoring)"
        let mark = unsafe open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard mark >= 0 else { throw StateFile.Failed(path: name, deed: "create", code: errno) }
        let hold = Hold(mark)
        guard flock(mark, LOCK_EX | LOCK_NB) == 0 else { throw StoreRefused.restoring(self) }
        // Whoever held it until now may have ended well.
        try checkVacant()
        guard unsafe access(name, F_OK) == 0 else { throw StoreRefused.restoring(self) }
        try FileSystem.syncDirectory(path)
        try FileSystem.syncDirectory(path + "/..")
        for part in Self.parts { try empty("\(path)/\(part)") }
        return hold
    }

    /// The directory is a node's from here on. Its journal has segments, and its volumes are durable.
    package func endRestoring(_ hold: Hold, as store: StoreID) throws -> Identity {
        let identity = Identity(
            cluster: cluster, node: node, store: store, members: members, hasJournal: true)
        try file.replace(Array(identity.text.utf8))
        let name = "\(path)/\(Self.restoring)"
        guard unsafe unlink(name) == 0 else {
            throw StateFile.Failed(path: name, deed: "remove", code: errno)
        }
        try FileSystem.syncDirectory(path)
        withExtendedLifetime(hold) {}
        return identity
    }

    private func checkVacant() throws {
        let held = try held()
        let own = held.contains(Self.restoring) ? Self.parts + [Self.restoring] : []
        guard held.allSatisfy(own.contains) else { throw StoreRefused.taken(self, holds: held) }
    }

    /// The part is there, and nothing is in it: the mark stands above what a restore made alone.
    private func empty(_ part: String) throws {
        guard unsafe mkdir(part, 0o700) == 0 || errno == EEXIST else {
            throw StateFile.Failed(path: part, deed: "create directory", code: errno)
        }
        for name in try FileSystem.names(in: part) where name != Self.lostAndFound {
            guard unsafe unlink("\(part)/\(name)") == 0 else {
                throw StateFile.Failed(path: "\(part)/\(name)", deed: "remove", code: errno)
            }
        }
        try FileSystem.syncDirectory(part)
    }
}
