internal import Repository
internal import Sealing

/// The collections of a tenant, as their objects tell of them: at most the newest one is under way.
struct Collections: Sendable {
    static let triesMax = 4
    private let vault: Vault
    init(_ vault: Vault) { self.vault = vault }

    struct Newest: Hashable, Sendable {
        let number: UInt64
        let stages: Set<Stage>

        var isOpen: Bool { stages.contains(.begun) && !stages.contains(.ended) }
    }

    func stages() throws(BackupFailure) -> [UInt64: Set<Stage>] {
        try vault.inventory(of: vault.layout.collections).collections
    }

    func newest() throws(BackupFailure) -> Newest? {
        try stages().max { $0.key < $1.key }.map { Newest(number: $0.key, stages: $0.value) }
    }

    func name(_ number: UInt64, _ stage: Stage) -> ObjectName {
        vault.layout.collection(number, stage)
    }

    /// What the newest one is about to delete, if it has not ended.
    func tombstones() throws(BackupFailure) -> CollectionStatement.Names {
        var last: BackupFailure?
        for _ in 0..<Self.triesMax {
            guard let newest = try newest() else { return CollectionStatement.Names() }
            if !newest.isOpen, try hasEnded(newest.number) { return CollectionStatement.Names() }
            do throws(BackupFailure) { return try begun(newest.number).names } catch {
                // It ended since, and so did the next one.
                guard case .store(let failure) = error, failure.cause == .missing else {
                    throw error
                }
                last = error
            }
        }
        // To know of none is to count on what may be deleted.
        throw last ?? .overtaken(tries: Self.triesMax)
    }

    /// Whether its last object is what it seems: a copy of another one needs no key.
    private func hasEnded(_ number: UInt64) throws(BackupFailure) -> Bool {
        guard try vault.find(name(number, .ended)) != nil else { return true }
        guard let said = try? read(number, .ended).said, case .ended = said.step else {
            return false
        }
        return true
    }

    func begun(
        _ number: UInt64
    ) throws(BackupFailure) -> (names: CollectionStatement.Names, digest: Digest) {
        let read = try read(number, .begun)
        guard case .begun(let names) = read.said.step else { throw strange(number, .begun) }
        return (names, read.digest)
    }

    struct Decision {
        let tombstones: Digest
        let spared: CollectionStatement.Names
        let letGo: NumberSet
        let epoch: KeyEpoch
    }

    func decided(_ number: UInt64) throws(BackupFailure) -> Decision {
        let read = try read(number, .decided)
        guard case .decided(let tombstones, let spared, let letGo) = read.said.step else {
            throw strange(number, .decided)
        }
        return Decision(
            tombstones: tombstones, spared: spared, letGo: letGo, epoch: read.epoch)
    }

    private struct Read {
        let said: CollectionStatement
        let digest: Digest
        /// By whose key it is sealed.
        let epoch: KeyEpoch
    }

    private func read(
        _ number: UInt64, _ stage: Stage
    ) throws(BackupFailure) -> Read {
        let read = try vault.reading(name(number, stage)) { bytes throws(ObjectDamage) in
            let said = try CollectionStatement(bytes, for: vault.place(of: bytes))
            return Read(
                said: said, digest: Digest(of: bytes.span),
                epoch: try SealedHeader(parsing: bytes).epoch)
        }
        guard read.said.number == number else { throw strange(number, stage) }
        return read
    }

    private func strange(_ number: UInt64, _ stage: Stage) -> BackupFailure {
        .damaged(name(number, stage), .contents("it is of another collection or step"))
    }

    /// Says that of a collection what was not said before; false where it was.
    func put(
        _ number: UInt64, _ step: CollectionStatement.Step
    ) throws(BackupFailure) -> Bool {
        let said = CollectionStatement(number, step)
        return try vault.put(first: said, as: name(number, said.stage))
    }

    /// What was ever let go of.
    struct LetGo {
        /// Of all backups that were: only those may be missing.
        var numbers = NumberSet()
        /// The collection that says so; nil where there was none.
        var newest: (collection: UInt64, epoch: KeyEpoch)?
        /// Those of them that may still be there: they are being deleted.
        var going: Set<UInt64> = []
    }

    func letGo() throws(BackupFailure) -> LetGo {
        let stages = try stages()
        guard let decided = stages.filter({ $0.value.contains(.decided) }).keys.max() else {
            return LetGo()
        }
        let decision = try self.decided(decided)
        var letGo = LetGo(numbers: decision.letGo, newest: (decided, decision.epoch))
        let saysEnded = stages[decided]?.contains(.ended) == true
        let isOver = if saysEnded { try hasEnded(decided) } else { false }
        if !isOver { letGo.going = Set(try begun(decided).names.manifests) }
        return letGo
    }
}
