internal import Mesh
internal import Repository
internal import Sealing

/// What a backup lacks because objects of it are whole nowhere.
package struct Loss: Hashable, Sendable, CustomStringConvertible {
    package let backup: UInt64
    /// nil is what was decided, and the configuration.
    package let volume: String?
    /// Bytes of the volume; none where all of it, because its map can't be read.
    package let ranges: [Range<UInt64>]
    package let why: String?

    package var description: String {
        if let why, volume == nil { return "backup \(backup): \(why)" }
        let what = volume.map { "volume \($0.debugDescription)" } ?? "what was decided"
        guard why == nil else { return "backup \(backup): \(what): \(why ?? "")" }
        let shown = ranges.prefix(Self.rangesShown).map { "\($0.lowerBound)–\($0.upperBound)" }
        let more = ranges.count > shown.count ? " and \(ranges.count - shown.count) more" : ""
        return "backup \(backup): \(what): bytes \(shown.joined(separator: ", "))\(more)"
    }
    private static let rangesShown = 8
}

/// Follows all backups to what is lost.
struct Losses {
    private let vault: Vault
    private let fetcher: BlobFetcher
    private let catalog: Catalog
    private let known: KnownPacks
    /// What lies in packs that are not whole, and can't be had from elsewhere.
    private var lost: Set<Digest> = []

    /// `objects` are those of which no copy is whole.
    init(_ vault: Vault, without objects: Set<ObjectName>) throws(BackupFailure) {
        self.vault = vault
        catalog = try Catalog(vault)
        fetcher = BlobFetcher(vault, catalog)
        known = try KnownPacks(vault)
        let packs = Set(
            objects.filter { Layout.kind($0) == .pack }.compactMap { Layout.digest($0) })
        if !packs.isEmpty { try findLost(in: packs) }
    }

    private mutating func findLost(in packs: Set<Digest>) throws(BackupFailure) {
        for object in try vault.list(vault.layout.indexes) {
            let index: IndexReader? = try? vault.reading(object.name) {
                bytes throws(ObjectDamage) in
                try IndexReader(bytes, for: vault.place(of: bytes))
            }
            guard let index, index.directory.packs.contains(where: { packs.contains($0.name) })
            else {
                continue
            }
            for block in 0..<index.blockCount {
                for location in (try? index.locations(inBlock: block)) ?? []
                where packs.contains(location.pack.name) {
                    // One that opens from another pack, or another copy, or though its pack is damaged elsewhere, is not lost.
                    if (try? fetcher.plain(location.id, location.placed.blob.kind)) == nil {
                        lost.insert(location.id)
                    }
                }
            }
        }
    }

    func all() throws(BackupFailure) -> [Loss] {
        let manifests = Manifests(vault)
        var losses: [Loss] = []
        for number in try manifests.numbers() {
            do throws(BackupFailure) {
                losses += self.losses(of: try manifests.manifest(number).manifest)
            } catch {
                losses.append(Loss(backup: number, volume: nil, ranges: [], why: "\(error)"))
            }
        }
        return losses
    }

    private func losses(of manifest: Manifest) -> [Loss] {
        var losses: [Loss] = []
        if manifest.state.contains(where: { (try? isLost($0)) ?? true }) {
            losses.append(
                Loss(
                    backup: manifest.sequence, volume: nil, ranges: [],
                    why: "what was decided, and the configuration, are lost"))
        }
        for volume in manifest.volumes {
            let (ranges, failure) = ranges(of: volume.map)
            if ranges.isEmpty, failure == nil { continue }
            losses.append(
                Loss(
                    backup: manifest.sequence, volume: volume.name, ranges: ranges,
                    why: failure.map { "its map can't be read: \($0)" }))
        }
        return losses
    }

    /// What no index tells of is lost with the index that did, where that could not be made again; and so is what lies in no pack
    /// that is there.
    private func isLost(_ id: Digest) throws(BackupFailure) -> Bool {
        if lost.contains(id) { return true }
        return try catalog.location(of: id, where: known.hold) == nil
    }

    private func ranges(of map: VolumeMap) -> (ranges: [Range<UInt64>], failure: String?) {
        var nodes = FetchedNodes(fetcher: fetcher)
        var ranges: [Range<UInt64>] = []
        do {
            try map.forEach(in: 0..<map.shape.cellCount, nodes: &nodes) { run in
                guard case .stored(let id) = run.slot, try isLost(id) else { return }
                ranges.append(joining: map.shape.bytes(of: run.cells))
            }
        } catch { return (ranges, "\(error)") }
        return (ranges, nil)
    }
}
