internal import Mesh
internal import Repository
internal import Retention
internal import Sealing

/// All that a tenant has in a store, read as who collects has to read it: what is missing, unreadable, or nobody's, ends it.
struct Survey {
    let inventory: Inventory
    private let numbers: [UInt64]
    /// In the order of their numbers.
    let manifests: [ManifestObject]
    /// What may be missing, because it was let go of.
    let letGo: NumberSet

    /// `lost` are backups that somebody gives up as lost: they may be missing.
    init(_ vault: Vault, lost: Set<UInt64>) throws(BackupFailure) {
        // Before all that they lead to, which was there when they were put: a list takes a while.
        numbers = try vault.inventory(of: vault.layout.manifests).manifests
        inventory = try Self.all(vault)
        let known = try Collections(vault).letGo()
        // One that is there is not missing: should it go, that is for the rules to say.
        letGo = known.numbers.union(lost.subtracting(numbers))
        manifests = try Self.manifests(numbers, vault)
        try demandHonest(known, vault)
        try demandAll(vault)
        try demandMade(vault)
    }

    private static func all(_ vault: Vault) throws(BackupFailure) -> Inventory {
        let listing: ObjectListing
        do throws(ObjectStoreFailure) { listing = try vault.store.list(vault.layout.all) } catch {
            throw .store(error)
        }
        do throws(Inventory.Strange) {
            return try Inventory(listing, of: vault.layout)
        } catch { throw .refused("\(error): move it away if it is nobody's") }
    }

    private static func manifests(
        _ numbers: [UInt64], _ vault: Vault
    ) throws(BackupFailure) -> [ManifestObject] {
        let reader = Manifests(vault)
        var manifests: [ManifestObject] = []
        for number in numbers {
            let manifest = try reader.manifest(number)
            if let former = manifests.last {
                let isNext = former.manifest.sequence == number - 1
                guard manifest.epoch >= former.epoch,
                    !isNext || manifest.manifest.predecessor == former.digest
                else { throw .damaged(vault.layout.manifest(number), .noSuccessor) }
            }
            manifests.append(manifest)
        }
        return manifests
    }

    /// Who has no newer key than that of an earlier epoch can say of no backup of a later one that it was let go of; and under
    /// the number of one that was, there is nothing any more.
    private func demandHonest(
        _ known: Collections.LetGo, _ vault: Vault
    ) throws(BackupFailure) {
        guard let newest = known.newest else { return }
        let later = manifests.first { $0.epoch > newest.epoch }
        if let later, let last = known.numbers.ranges.last,
            last.upperBound >= later.manifest.sequence
        {
            let name = vault.layout.collection(newest.collection, .decided)
            throw .damaged(name, .noSuccessor)
        }
        for number in numbers where known.numbers.contains(number) && !known.going.contains(number)
        {
            throw .refused(
                "backup \(number) was let go of, and \(vault.layout.manifest(number)) is there again: somebody put "
                    + "it there; move it away")
        }
    }

    /// A list that leaves out a backup would have what that needs deleted.
    private func demandAll(_ vault: Vault) throws(BackupFailure) {
        let newest = manifests.last?.manifest.sequence ?? 0
        let there = Set(numbers)
        for number in 1..<newest + 1 where !there.contains(number) && !letGo.contains(number) {
            throw Self.missing(number)
        }
        guard try vault.find(vault.layout.manifest(newest + 1)) == nil else {
            throw .refused(
                "the store lists no backup behind \(newest), and has \(newest + 1): its lists can't be "
                    + "relied on, or a backup was just made; ask again")
        }
    }

    /// What a session says that it made has to be there.
    private func demandMade(_ vault: Vault) throws(BackupFailure) {
        let there = Set(numbers)
        for (number, stages) in inventory.sessions.sorted(by: { $0.key < $1.key })
        where stages.contains(.ended) {
            let name = vault.layout.session(number, .ended)
            let said: SessionStatement = try vault.statement(name)
            guard said.session == number, case .ended(let made) = said.step else {
                throw .damaged(name, .contents("it is of another session, or says something else"))
            }
            guard made > 0 else { continue }
            guard there.contains(made) || letGo.contains(made) else { throw Self.missing(made) }
        }
    }

    private static func missing(_ number: UInt64) -> BackupFailure {
        .refused(
            "backup \(number) is missing, and nobody let it go: the store may list too little. Put its "
                + "manifest back, or give it up with --lost \(number)")
    }

    func dated(lost: Set<UInt64>) -> [Dated] {
        manifests.map { object in
            let manifest = object.manifest
            return Dated(
                number: manifest.sequence, cluster: manifest.cluster, group: manifest.group,
                index: manifest.position.index, time: WallTime(manifest.time),
                isWhole: !lost.contains(manifest.sequence),
                isHeld: inventory.holds.contains(manifest.sequence))
        }
    }
}
