internal import Repository
internal import Sealing

extension Inventory {
    func byteCount(of names: CollectionStatement.Names) -> Int {
        names.indexes.reduce(0) { $0 + (indexes[$1] ?? 0) }
            + names.packs.reduce(0) { $0 + (packs[$1] ?? 0) }
    }
}

extension CollectionStatement.Names {
    func without(_ other: Self) -> Self {
        var names = Self()
        names.manifests = Set(manifests).subtracting(other.manifests).sorted()
        names.indexes = Set(indexes).subtracting(other.indexes).sorted()
        names.packs = Set(packs).subtracting(other.packs).sorted()
        return names
    }
}

extension Mark {
    /// All that nothing leads to, as much as one collection can name.
    func dead(
        _ inventory: Inventory, _ going: Set<UInt64>
    ) -> CollectionStatement.Names {
        var all = CollectionStatement.Names()
        all.manifests = Array(going.sorted().prefix(CollectionStatement.manifestsMax))
        all.packs = Array(
            inventory.packs.keys.filter { live[$0] == nil }.sorted()
                .prefix(CollectionStatement.packsMax))
        all.indexes = Array(indexes.keys.sorted())
        var doomed = doomed(of: all, inventory, going)
        doomed.indexes = Array(doomed.indexes.prefix(CollectionStatement.indexesMax))
        return doomed
    }

    /// What of `names` nothing leads to. An index goes with the last of its packs.
    func doomed(
        of names: CollectionStatement.Names, _ inventory: Inventory, _ going: Set<UInt64>
    ) -> CollectionStatement.Names {
        var doomed = CollectionStatement.Names()
        doomed.manifests = names.manifests.filter(going.contains)
        doomed.packs = names.packs.filter { live[$0] == nil }
        let packs = Set(doomed.packs)
        doomed.indexes = names.indexes.filter { index in
            indexes[index]?.allSatisfy { packs.contains($0) || inventory.packs[$0] == nil } ?? true
        }
        return doomed
    }
}
