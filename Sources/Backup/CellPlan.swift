internal import Mesh
internal import Repository

/// What is to be done about the cells of a volume, step by step in their order. Cells that can only be holes are not
/// read.
struct CellPlan {
    enum Step: Hashable {
        case read(Range<UInt64>)
        case hole(Range<UInt64>)
    }

    /// Of one node of level 1, together.
    private(set) var batches: [[Step]] = []
    private var batch: UInt64 = 0

    /// `wanted` and `allocated` are in order and don't overlap.
    init(_ wanted: [Range<UInt64>], allocated: [Range<UInt64>]) {
        var rest = allocated[...]
        for range in wanted {
            var at = range.lowerBound
            rest = rest.drop { $0.upperBound <= at }
            for held in rest.prefix(while: { $0.lowerBound < range.upperBound }) {
                let own = held.clamped(to: range)
                add(at..<own.lowerBound, isHole: true)
                add(own, isHole: false)
                at = own.upperBound
            }
            add(at..<range.upperBound, isHole: true)
        }
    }

    /// Cuts at the bounds of nodes: of level 0 what is read, of level 1 all.
    private mutating func add(_ cells: Range<UInt64>, isHole: Bool) {
        let size = isHole ? VolumeBackup.cellsPerBatch : VolumeBackup.cellsPerRead
        var at = cells.lowerBound
        while at < cells.upperBound {
            let end = min((at / size + 1) * size, cells.upperBound)
            let number = at / VolumeBackup.cellsPerBatch
            if batches.isEmpty || number != batch { batches.append([]) }
            batch = number
            batches[batches.count - 1].append(isHole ? .hole(at..<end) : .read(at..<end))
            at = end
        }
    }
}
