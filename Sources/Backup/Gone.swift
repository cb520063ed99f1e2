internal import Repository
internal import Sealing

/// How far each copy is in collections and sessions, by its lists: looked at before any of them is brought what it lacks.
struct CopyStanding {
    private(set) var newestCollection: UInt64 = 0
    private(set) var newestSession: UInt64 = 0
    /// Copies that missed a collection which ended in others: what they alone have may be what that deleted.
    private(set) var stale: Set<Int> = []

    init(
        _ copies: [StoreCopy], besides away: Set<Int>, _ layout: Layout
    ) throws(BackupFailure) {
        var ended: [Int: UInt64] = [:]
        for (number, copy) in copies.enumerated() where !away.contains(number) {
            let there = try Self.inventory(copy, of: layout.collections, layout).collections
            newestCollection = max(newestCollection, there.keys.max() ?? 0)
            ended[number] = there.filter { $0.value.contains(.ended) }.keys.max() ?? 0
            let sessions = try Self.inventory(copy, of: layout.sessions, layout).sessions
            newestSession = max(newestSession, sessions.keys.max() ?? 0)
        }
        let newest = ended.values.max() ?? 0
        stale = Set(ended.filter { $0.value < newest }.keys)
    }

    private static func inventory(
        _ copy: StoreCopy, of part: ObjectName, _ layout: Layout
    ) throws(BackupFailure) -> Inventory {
        do throws(ObjectStoreFailure) {
            return Inventory(knownOf: try copy.store.list(part), of: layout)
        } catch { throw .store(error) }
    }
}

/// What was let go of, or is just about to be, or is over: no copy of it is made anew.
struct Gone {
    private let layout: Layout
    private let standing: CopyStanding
    private let letGo: NumberSet
    private let doomed: CollectionStatement.Names

    init(_ vault: Vault, _ standing: CopyStanding) throws(BackupFailure) {
        (layout, self.standing) = (vault.layout, standing)
        let collections = Collections(vault)
        letGo = try collections.letGo().numbers
        doomed = try collections.tombstones()
    }

    func contains(_ name: ObjectName) -> Bool {
        if let digest = Layout.digest(name) {
            return doomed.packs.contains(digest) || doomed.indexes.contains(digest)
        }
        if let number = Layout.number(name), name == layout.manifest(number) {
            return letGo.contains(number) || doomed.manifests.contains(number)
        }
        // What told of an earlier one was cleared away, or will be: one stage of it alone would be one that is under way.
        guard let (number, stage) = Layout.stage(name) else { return false }
        if name == layout.session(number, stage) { return number < standing.newestSession }
        return name == layout.collection(number, stage) && number < standing.newestCollection
    }
}
