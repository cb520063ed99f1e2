package import Mesh
package import Repository

/// All volumes held at one place in the log, while the log goes on.
package struct HeldCut: Sendable {
    package struct Place: Hashable, Sendable {
        package let cluster: ClusterID
        package let group: GroupID
        /// All entries up to here are in it, and none above.
        package let position: Position
        package let epoch: Epoch
        /// The leader's wall time there.
        package let time: WallTime

        package init(
            cluster: ClusterID, group: GroupID, position: Position, epoch: Epoch, time: WallTime
        ) {
            (self.cluster, self.group, self.position) = (cluster, group, position)
            (self.epoch, self.time) = (epoch, time)
        }
    }

    package struct Volume: Sendable {
        package let id: VolumeID
        package let name: String
        package let isSync: Bool
        package let lastWrite: Manifest.WriteMark
        package let byteCount: UInt64
        /// Bytes that may hold anything; all others are holes.
        package let allocated: [Range<UInt64>]
        /// At least the bytes that changed since the place that was asked for; nil where nobody knows.
        package let changed: [Range<UInt64>]?

        package init(
            id: VolumeID, name: String, isSync: Bool, lastWrite: Manifest.WriteMark,
            byteCount: UInt64, allocated: [Range<UInt64>], changed: [Range<UInt64>]?
        ) {
            (self.id, self.name, self.isSync, self.lastWrite) = (id, name, isSync, lastWrite)
            (self.byteCount, self.allocated, self.changed) = (byteCount, allocated, changed)
        }
    }

    package let place: Place
    /// What was decided, as of that place.
    package let state: [UInt8]
    /// In the order of their ids.
    package let volumes: [Volume]

    /// What is known to have changed, of volumes of which that is known.
    var told: [VolumeID: [Range<UInt64>]] {
        Dictionary(
            uniqueKeysWithValues: volumes.compactMap { volume in
                volume.changed.map { (volume.id, $0) }
            })
    }

    package init(place: Place, state: [UInt8], volumes: [Volume]) {
        (self.place, self.state, self.volumes) = (place, state, volumes)
    }
}

/// Whoever can hold on to the volumes. Both wait until it is done.
package protocol CutHolder: Sendable {
    /// Holds all volumes as they are now, until `end`, and tells what changed above `since`.
    func begin(since: LogIndex?) throws(BackupFailure) -> HeldCut
    /// What a part of a volume was when the cut began; called by several threads, for each part once.
    func read(_ volume: VolumeID, at offset: UInt64, count: Int) throws(BackupFailure) -> [UInt8]
    /// Several parts at once, which are together no longer than one may be.
    func read(_ volume: VolumeID, _ parts: [Range<UInt64>]) throws(BackupFailure) -> [[UInt8]]
    func end()
}

extension CutHolder {
    package func read(
        _ volume: VolumeID, _ parts: [Range<UInt64>]
    ) throws(BackupFailure) -> [[UInt8]] {
        try parts.map { part throws(BackupFailure) in
            try read(volume, at: part.lowerBound, count: part.count)
        }
    }
}

/// One volume of a cut.
struct HeldSource: CellSource {
    let shape: VolumeShape
    let allocated: [Range<UInt64>]
    private let volume: HeldCut.Volume
    private let holder: any CutHolder

    init(_ volume: HeldCut.Volume, _ shape: VolumeShape, _ holder: any CutHolder) {
        (self.volume, self.shape, self.holder) = (volume, shape, holder)
        allocated = shape.cells(over: volume.allocated)
    }

    func read(_ cells: Range<UInt64>) throws(BackupFailure) -> [UInt8] { try read([cells])[0] }

    func read(_ runs: [Range<UInt64>]) throws(BackupFailure) -> [[UInt8]] {
        let parts = runs.map { shape.bytes(of: $0) }
        var pieces = try holder.read(volume.id, parts)
        guard pieces.map(\.count) == parts.map(\.count) else {
            throw .volume("volume \(volume.name) did not give the bytes that were asked for")
        }
        for (at, cells) in runs.enumerated() {
            let missing = cells.count * Int(shape.cellByteCount) - parts[at].count
            pieces[at].append(contentsOf: repeatElement(0, count: missing))
        }
        return pieces
    }
}

extension VolumeShape {
    /// The cells that any of these bytes lie in, which come in their order; each once.
    package func cells(over ranges: [Range<UInt64>]) -> [Range<UInt64>] {
        var cells: [Range<UInt64>] = []
        for range in ranges where range.lowerBound < min(range.upperBound, byteCount) {
            let first = range.lowerBound / cellByteCount
            let end = (min(range.upperBound, byteCount) - 1) / cellByteCount + 1
            cells.append(joining: first..<end)
        }
        return cells
    }

    /// The bytes of those cells that the volume has.
    func bytes(of cells: Range<UInt64>) -> Range<UInt64> {
        cells.lowerBound * cellByteCount..<min(cells.upperBound * cellByteCount, byteCount)
    }
}
