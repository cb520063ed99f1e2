package import Journal
package import JournalCore
package import Mesh
internal import Record
package import Settings
internal import Store

/// This node's own store, whose identity was found and is right: no daemon begins without.
package struct OwnStore: Sendable {
    private let directory: StoreDirectory
    private let identity: Identity

    /// Reads alone: where it is refused, everything is as it was.
    package init(_ settings: AgentSettings, config: String) throws {
        directory = StoreDirectory(
            settings.node.data, of: settings.member.id, in: settings.cluster.cluster,
            members: settings.cluster.roles, config: config)
        identity = try directory.identity()
    }

    /// What a log line calls it.
    package var name: String { identity.store?.description ?? "from before stores had ids" }

    /// Opens the journal, which has files from then on, and the identity says so: an empty one can
    /// never again pass for that of a new node.
    package func openJournal(
        _ settings: JournalCore<FileDisk>.Settings, random: SeededRandom
    ) throws -> (journal: JournalCore<FileDisk>, recovered: Recovered) {
        var disk = try FileDisk("\(directory.path)/\(StoreDirectory.journal)")
        var (journal, recovered) = try JournalCore.open(&disk, settings: settings, random: random)
        if !identity.hasJournal {
            if try !directory.journalHasFiles() {
                try journal.append([LogChange(hardState: recovered.hardState)])
            }
            try directory.journalBegan(identity)
        }
        return (journal, recovered)
    }
}
