internal import Repository

/// What a view can say of a range without reading it.
package struct ViewExtent: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case data, hole, zeros
    }
    package var range: Range<UInt64>
    package let kind: Kind
    package init(_ range: Range<UInt64>, _ kind: Kind) { (self.range, self.kind) = (range, kind) }
}

extension VolumeView {
    private struct Enough: Error {}
    /// What is told at once: each four megabytes of data cost a request where their node is not kept.
    private static let cellsMax: UInt64 = 64 << 8

    /// At most so many from the range's beginning on; neighbours differ. What the map can't tell, being damaged, passes for data:
    /// who reads it learns why.
    package func extents(_ range: Range<UInt64>, countMax: Int) -> [ViewExtent] {
        var extents: [ViewExtent] = []
        func tell(_ part: Range<UInt64>, _ kind: ViewExtent.Kind) throws {
            if let last = extents.last, last.kind == kind {
                extents[extents.count - 1].range = last.range.lowerBound..<part.upperBound
            } else {
                guard extents.count < countMax else { throw Enough() }
                extents.append(ViewExtent(part, kind))
            }
        }
        let (size, own) = (shape.cellByteCount, range.clamped(to: 0..<shape.byteCount))
        do {
            if !own.isEmpty {
                var nodes = reader.nodes
                let first = own.lowerBound / size
                let cells = first..<min((own.upperBound - 1) / size + 1, first + Self.cellsMax)
                try map.forEach(in: cells, nodes: &nodes) { run in
                    let bytes = run.cells.lowerBound * size..<run.cells.upperBound * size
                    try tell(bytes.clamped(to: own), ViewExtent.Kind(run.slot))
                }
            }
            guard (extents.last?.range.upperBound ?? own.upperBound) == own.upperBound else {
                return extents
            }
            let behind = max(range.lowerBound, own.upperBound)..<range.upperBound
            if !behind.isEmpty { try tell(behind, .hole) }
        } catch {
            let told = extents.last?.range.upperBound ?? range.lowerBound
            if !(error is Enough), told < range.upperBound {
                try? tell(told..<range.upperBound, .data)
            }
        }
        return extents
    }
}

extension ViewExtent.Kind {
    fileprivate init(_ slot: Slot) {
        self =
            switch slot {
            case .hole: .hole
            case .zeros: .zeros
            case .stored: .data
            }
    }
}
