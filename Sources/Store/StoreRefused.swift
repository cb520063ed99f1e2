internal import Mesh

/// Why a node must not start on a directory, or none may be made there.
package enum StoreRefused: Error, Hashable, Sendable, CustomStringConvertible {
    /// There is no identity, so nothing tells what this node has promised.
    case absent(StoreDirectory)
    case foreign(StoreDirectory, owner: Identity)
    /// The cluster's file lists others than when the store was made.
    case otherMembers(StoreDirectory, owner: Identity)
    case illegible(StoreDirectory)
    /// The journal had files, and has none any more.
    case journalGone(StoreDirectory)
    /// A restore began to fill it, and did not end.
    case halfRestored(StoreDirectory)
    /// Another process restores into it now.
    case restoring(StoreDirectory)
    /// A store is to be made in a directory that is not there.
    case parentAbsent(StoreDirectory)
    /// A store is to be made where something is already.
    case taken(StoreDirectory, holds: [String])

    private static let namesMax = 8

    package var description: String {
        switch self {
        case .absent(let store):
            """
            \(store.path) holds no node's data: it has no file `\(Identity.fileName)`.
              If node \(store.node) has served before, its disk is not mounted or the directory was \
            emptied. Mount the disk. Never init a node that has served: it would vote against what \
            it promised, and flushed writes could be lost.
              If node \(store.node) is new: holdfast init --config \(store.config)
            """
        case .foreign(let store, let owner):
            "\(Self.file(store)) says that this data belongs to cluster \(owner.cluster) "
                + "node \(owner.node), and \(store.config) is of cluster \(store.cluster) "
                + "node \(store.node): correct `data` or `node`; never start a node on another "
                + "one's data"
        case .otherMembers(let store, let owner):
            """
            the members are \(owner.members ?? "unknown") since \(store.path) was made, and the \
            cluster's file of \(store.config) lists \(store.members).
              Put the file back as it was: a node that counts another majority than its peers could \
            become a second primary. Members can't be changed in this release, not even where some \
            are lost for good.
            """
        case .illegible(let store):
            "\(Self.file(store)) can't be understood: it was changed or is damaged. Put back what "
                + "docs/formats/store.md says of node \(store.node), if this is its data"
        case .journalGone(let store):
            "\(store.path)/\(StoreDirectory.journal) has no segments, and \(Self.file(store)) says that "
                + "node \(store.node) has served: the journal's disk is not mounted or was "
                + "emptied. Mount it. Without its own journal this node must not vote"
        case .halfRestored(let store):
            """
            \(store.path) holds what a restore began and did not end: no node can start on it.
              Ask for the restore again, with the same words: it begins anew.
            """
        case .restoring(let store):
            "another process restores into \(store.path) now: wait for it"
        case .parentAbsent(let store):
            """
            \(store.path) can't be made: the directory that it is to be in is not there.
              If it is on a disk of its own, mount that first; if not: mkdir -p \(store.parent)
            """
        case .taken(let store, let names):
            """
            \(store.path) holds something already: \(Self.list(names)). Nothing was changed.
              If it is node \(store.node)'s data, the node needs no init: start it. If not, correct \
            `data` in \(store.config), or give an empty directory.
            """
        }
    }

    private static func file(_ store: StoreDirectory) -> String {
        "\(store.path)/\(Identity.fileName)"
    }

    private static func list(_ names: [String]) -> String {
        let shown = names.prefix(namesMax).joined(separator: ", ")
        return names.count > namesMax ? "\(shown) and \(names.count - namesMax) more" : shown
    }
}
