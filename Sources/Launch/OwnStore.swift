package import Journal
package import JournalCore
package import Mesh
internal import Raft
package import Record
package import Settings
internal import Store

/// This node's own store, whose identity was found and is right: no daemon begins without.
package struct OwnStore: Sendable {
    private let directory: StoreDirectory
    private let identity: Identity
    private let founding: FoundingFile
    /// As it was found at the start.
    private let founded: Base?

    /// Reads alone: where it is refused, everything is as it was.
    package init(_ settings: AgentSettings, config: String) throws {
        directory = StoreDirectory(
            settings.node.data, of: settings.member.id, in: settings.cluster.cluster,
            members: settings.cluster.roles, config: config)
        founding = FoundingFile(in: directory.path)
        founded = try founding.read()
        identity = try directory.identity(
            membersMayDiffer: founded != nil || !settings.node.founding)
    }

    /// What this node's log begins with, where no base is in its place; and whether this node knows
    /// that, which one that is to join a mesh does not.
    package func beginning(
        _ settings: AgentSettings, behind base: Position, decisions: [UInt8]
    ) throws -> (base: Base, isFounded: Bool) {
        if let founded { return (founded, true) }
        let beginning = Base(
            position: .zero, membership: settings.cluster.membership, state: decisions)
        guard settings.node.founding else {
            let others = Electorate(data: settings.cluster.dataMembers.map(\.id))
            return (
                Base(
                    position: .zero,
                    membership: Membership(voters: others.without(settings.member.id)),
                    state: decisions), false
            )
        }
        if base == .zero {
            guard settings.cluster.witnesses.count <= 1 else {
                throw TwoWitnesses(file: settings.node.cluster)
            }
            try founding.write(beginning)
        }
        return (beginning, true)
    }

    /// What a log line calls it.
    package var name: String { identity.store?.description ?? "from before stores had ids" }

    /// Opens the journal, which has files from then on, and the identity says so: an empty one can
    /// never again pass for that of a new node. What of it is damaged and stands there a second time is
    /// mended on the way.
    package func openJournal(_ settings: JournalSettings, random: SeededRandom) throws
        -> OpenedJournal
    {
        var disk = try FileDisk("\(directory.path)/\(StoreDirectory.journal)")
        do {
            return try .whole(open(&disk, settings, random, resolving: .none), mended: nil)
        } catch JournalError.mendable(let damage) {
            guard var mend = try LogMend(&disk, settings: settings, random: random) else {
                return try .whole(open(&disk, settings, random, resolving: .none), mended: damage)
            }
            try mend.mendHere()
            guard damage.needsNobody else { return .damaged(mend) }
            disk = mend.close()
            return try .whole(open(&disk, settings, random, resolving: .none), mended: damage)
        }
    }

    /// Opens it again behind a mend.
    package func reopenJournal(
        _ disk: FileDisk, resolving resolution: LogResolution, _ settings: JournalSettings,
        random: SeededRandom
    ) throws -> OpenJournal {
        var disk = disk
        return try open(&disk, settings, random, resolving: resolution)
    }

    private func open(
        _ disk: inout FileDisk, _ settings: JournalSettings, _ random: SeededRandom,
        resolving resolution: LogResolution
    ) throws -> OpenJournal {
        var (journal, recovered) = try JournalCore.open(
            &disk, settings: settings, random: random, resolving: resolution)
        if !identity.hasJournal {
            if try !directory.journalHasFiles() {
                try journal.append([LogChange(hardState: recovered.hardState)])
            }
            try directory.journalBegan(identity)
        }
        return OpenJournal(journal: journal, recovered: recovered)
    }
}

/// A journal that is whole, and what was found in it.
package struct OpenJournal: Sendable {
    package var journal: JournalCore<FileDisk>
    package let recovered: Recovered
}

package enum OpenedJournal: Sendable {
    /// `mended` was damaged, and stood there a second time.
    case whole(OpenJournal, mended: LogDamage?)
    /// It lacks what only peers may have.
    case damaged(LogMend<FileDisk>)
}
