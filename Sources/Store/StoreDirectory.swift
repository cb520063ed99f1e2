internal import Glibc
package import Mesh

/// The directory in which a node keeps all that it must never forget. It is made once, by
/// `holdfast init`: what a node would make by itself where it finds nothing could stand in for a
/// disk that is not mounted.
package struct StoreDirectory: Hashable, Sendable {
    package let path: String
    package let cluster: ClusterID
    package let node: NodeID
    /// As the cluster's file has them: "1 data, 2 data, 3 witness".
    package let members: String
    /// The file which says so; an operator is told its name.
    package let config: String

    /// The part that holds what the node has promised.
    package static let journal = "journal"
    package static let volumes = "volumes"
    /// Made at every start, and empty until something is stored there.
    static let parts = [journal, volumes]
    /// docs/formats/journal.md.
    private static let segmentPrefix = "segment-"
    /// An empty file system holds it.
    static let lostAndFound = "lost+found"

    package init(
        _ path: String, of node: NodeID, in cluster: ClusterID, members: String, config: String
    ) {
        self.path = path
        self.cluster = cluster
        self.members = members
        self.node = node
        self.config = config
    }

    /// Makes the directory of a node that has never served, durable when it returns. Refused where
    /// anything is there already: it may be what a node has promised.
    package func make(_ store: StoreID) throws -> Identity {
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
            if errno == ENOENT { throw StoreRefused.parentAbsent(self) }
            throw StateFile.Failed(path: path, deed: "create directory", code: errno)
        }
        let held = try held()
        guard !held.contains(Self.restoring) else { throw StoreRefused.halfRestored(self) }
        guard held.isEmpty else { throw StoreRefused.taken(self, holds: held) }
        let identity = Identity(cluster: cluster, node: node, store: store, members: members)
        try file.replace(Array(identity.text.utf8))
        // The directory's own name must survive as well.
        try FileSystem.syncDirectory(path + "/..")
        return identity
    }

    /// Whose data it is, which must be this node's. Only where the store itself tells with whom the
    /// mesh began may the cluster file name others.
    package func identity(membersMayDiffer: Bool = false) throws -> Identity {
        guard let bytes = try file.read(bytesMax: Identity.bytesMax) else {
            throw try held().contains(Self.restoring)
                ? StoreRefused.halfRestored(self) : StoreRefused.absent(self)
        }
        guard let text = String(validating: bytes, as: UTF8.self),
            let found = Identity(parsing: text)
        else { throw StoreRefused.illegible(self) }
        guard (found.cluster, found.node) == (cluster, node) else {
            throw StoreRefused.foreign(self, owner: found)
        }
        guard membersMayDiffer || found.members ?? members == members else {
            throw StoreRefused.otherMembers(self, owner: found)
        }
        guard try !found.hasJournal || journalHasFiles() else {
            throw StoreRefused.journalGone(self)
        }
        return found
    }

    /// Remembers that the journal has files now, before this node speaks to anybody.
    package func journalBegan(_ identity: Identity) throws {
        guard !identity.hasJournal else { return }
        var identity = identity
        identity.hasJournal = true
        try file.replace(Array(identity.text.utf8))
    }

    /// Whether the journal has a segment. Only segments hold what was promised: a base or an index
    /// that outlived them says nothing of it.
    package func journalHasFiles() throws -> Bool { try Self.journalHasFiles(in: path) }

    private static func journalHasFiles(in path: String) throws -> Bool {
        try FileSystem.names(in: "\(path)/\(journal)").contains { name in
            name.hasPrefix(segmentPrefix) && !name.hasSuffix(StateFile.unfinishedSuffix)
        }
    }

    /// Whether `path` is a node's data directory whose journal had segments and has none any more,
    /// whosever it is; false where no identity tells. Changes nothing.
    package static func hasLostJournal(in path: String) throws -> Bool {
        let file = StateFile(Identity.fileName, in: path)
        guard let bytes = try file.read(bytesMax: Identity.bytesMax),
            let text = String(validating: bytes, as: UTF8.self),
            let found = Identity(parsing: text), found.hasJournal
        else { return false }
        return try !journalHasFiles(in: path)
    }

    package var parent: String {
        let names = path.split(separator: "/").dropLast()
        return (path.hasPrefix("/") ? "/" : "") + names.joined(separator: "/")
    }

    var file: StateFile { StateFile(Identity.fileName, in: path) }

    /// All that is there except what an empty file system, a refused start or an interrupted `make`
    /// leaves.
    func held() throws -> [String] {
        let unfinished = Identity.fileName + StateFile.unfinishedSuffix
        return try FileSystem.names(in: path).filter { name in
            if name == Self.lostAndFound || name == unfinished { return false }
            guard Self.parts.contains(name) else { return true }
            return try FileSystem.names(in: "\(path)/\(name)").contains { $0 != Self.lostAndFound }
        }
    }
}
