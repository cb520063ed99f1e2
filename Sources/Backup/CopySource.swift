internal import Mesh
internal import Pacing
internal import Repository

/// A volume of a backup as what a copy reads: opened, and each cell what its id says.
struct CopySource: CellSource {
    let shape: VolumeShape
    /// Of the cells that are to be read.
    let allocated: [Range<UInt64>]
    private let map: VolumeMap
    private let reader: BackupReader
    private let tell: WorkTeller

    init(
        _ map: VolumeMap, _ reader: BackupReader, _ wanted: [Range<UInt64>],
        _ tell: @escaping WorkTeller
    ) throws(BackupFailure) {
        (self.map, self.reader, self.tell, shape) = (map, reader, tell, map.shape)
        var allocated: [Range<UInt64>] = []
        for cells in wanted {
            for run in try reader.filled(map, cells) {
                allocated.append(joining: run)
            }
        }
        self.allocated = allocated
    }

    var byteCount: UInt64 {
        allocated.reduce(0) { $0 + UInt64($1.count) } * shape.cellByteCount
    }

    func read(_ cells: Range<UInt64>) throws(BackupFailure) -> [UInt8] { try read([cells])[0] }

    func read(_ runs: [Range<UInt64>]) throws(BackupFailure) -> [[UInt8]] {
        var stored: [BackupReader.StoredCell] = []
        for run in runs { stored += try reader.stored(map, run) }
        let basket = Basket(shape)
        try reader.fetch(stored, shape, basket)
        let (cells, size) = (basket.opened.cells, Int(shape.cellByteCount))
        let pieces = runs.map { run in
            var bytes: [UInt8] = []
            bytes.reserveCapacity(run.count * size)
            for cell in run {
                let plain = cells[cell] ?? []
                bytes += plain
                // Zeros, or what lies behind the volume's end.
                bytes.append(contentsOf: repeatElement(0, count: size - plain.count))
            }
            return bytes
        }
        tell(.advanced(pieces.reduce(0) { $0 + UInt64($1.count) }))
        return pieces
    }
}

extension BackupReader {
    /// Runs of those cells that are no holes.
    fileprivate func filled(
        _ map: VolumeMap, _ cells: Range<UInt64>
    ) throws(BackupFailure) -> [Range<UInt64>] {
        var filled: [Range<UInt64>] = []
        var nodes = nodes
        do {
            try map.forEach(in: cells, nodes: &nodes) { run in
                if run.slot != .hole { filled.append(run.cells) }
            }
        } catch let failure as BackupFailure {
            throw failure
        } catch { throw .volume("its map can't be read: \(error)") }
        return filled
    }
}
