package import Backup
internal import NIOConcurrencyHelpers

/// A volume of the past that can be written to: what is written lies in an overlay, and what is below stays as it was.
package final class MountedVolume: Sendable {
    private struct State: Sendable {
        var base: (any MountBase)?
        var byteCount: UInt64
        var blocks = BlockStates()
    }

    /// Zeros that are written where they can't be had for nothing.
    private static let zerosByteCount: UInt64 = 1 << 20

    /// nil where nothing is ever written.
    private let overlay: OverlayFile?
    private let state: NIOLockedValueBox<State>

    /// Without a base it reads zero. Without a place for what is written, nothing can be.
    package init(
        _ base: (any MountBase)? = nil, byteCount: UInt64, overlayIn directory: String?,
        sparing: UInt64? = nil
    ) throws(MountFailure) {
        overlay =
            if let directory { try OverlayFile(in: directory, sparing: sparing) } else { nil }
        state = NIOLockedValueBox(State(base: base, byteCount: byteCount))
    }

    package var byteCount: UInt64 { state.withLockedValue { $0.byteCount } }

    /// Said before anything is read or written.
    package func rest(on base: any MountBase) { state.withLockedValue { $0.base = base } }

    /// Longer by what reads zero.
    package func grow(to byteCount: UInt64) { state.withLockedValue { $0.byteCount = byteCount } }

    package func read(_ range: Range<UInt64>) throws(MountFailure) -> [UInt8] {
        let (base, runs) = state.withLockedValue {
            ($0.base, $0.blocks.runs(in: range))
        }
        if runs.count == 1, runs[0].state == .below { return try below(range, base) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        for (part, state) in runs {
            switch state {
            case .below: bytes += try below(part, base)
            case .written: bytes += try overlay?.read(part) ?? []
            case .zeros: bytes.append(contentsOf: repeatElement(0, count: part.count))
            }
        }
        return bytes
    }

    private func below(
        _ range: Range<UInt64>, _ base: (any MountBase)?
    ) throws(MountFailure) -> [UInt8] {
        guard let base else { return [UInt8](repeating: 0, count: range.count) }
        do { return try base.read(range) } catch { throw .below(error) }
    }

    /// Nothing is changed any more once `isWanted` says no: it is asked when nobody else changes anything.
    package func write(
        _ bytes: [UInt8], at offset: UInt64, if isWanted: () -> Bool = { true }
    ) throws(MountFailure) {
        guard !bytes.isEmpty else { return }
        let overlay = try changeable()
        let range = offset..<offset + UInt64(bytes.count)
        let edges = try edges(of: range)
        // One after the other: two that change one block at once would each lose what the other wrote.
        try state.withLockedValue { state in
            Result { () throws(MountFailure) in
                guard isWanted() else { return }
                for edge in edges
                where state.blocks[edge.offset / BlockStates.blockByteCount] == edge.state {
                    try overlay.write(edge.bytes, at: edge.offset)
                }
                try overlay.write(bytes, at: offset)
                state.blocks.set(BlockStates.blocks(range), .written)
            }
        }.get()
    }

    private struct Edge {
        let offset: UInt64
        let bytes: [UInt8]
        /// Where the block is in another state by then, somebody else has written to it.
        let state: BlockStates.State
    }

    /// What of the first and the last block lies outside of the range, where the overlay does not have it. A block of zeros may
    /// hold anything there: what a write left that failed.
    private func edges(of range: Range<UInt64>) throws(MountFailure) -> [Edge] {
        let size = BlockStates.blockByteCount
        let blocks = BlockStates.blocks(range)
        let (base, first, last) = state.withLockedValue {
            ($0.base, $0.blocks[blocks.lowerBound], $0.blocks[blocks.upperBound - 1])
        }
        var edges: [Edge] = []
        for (part, state) in [
            (blocks.lowerBound * size..<range.lowerBound, first),
            (range.upperBound..<blocks.upperBound * size, last),
        ] where !part.isEmpty {
            switch state {
            case .written: continue
            case .zeros:
                let zeros = [UInt8](repeating: 0, count: part.count)
                edges.append(Edge(offset: part.lowerBound, bytes: zeros, state: state))
            case .below:
                let bytes = try below(part, base)
                edges.append(Edge(offset: part.lowerBound, bytes: bytes, state: state))
            }
        }
        return edges
    }

    /// Zeros from here on, which take no room where the file system can do that.
    package func zero(
        _ range: Range<UInt64>, if isWanted: () -> Bool = { true }
    ) throws(MountFailure) {
        let overlay = try changeable()
        let size = BlockStates.blockByteCount
        let first = (range.lowerBound + size - 1) / size
        // The last block may be shorter than the others.
        let isLast = range.upperBound == byteCount
        let end = (range.upperBound + (isLast ? size - 1 : 0)) / size
        guard first < end else { return try writeZeros(range, if: isWanted) }
        try writeZeros(range.lowerBound..<first * size, if: isWanted)
        let isFreed = state.withLockedValue { state in
            guard isWanted() else { return true }
            let whole = first * size..<end * size
            let written = state.blocks.runs(in: whole).filter { $0.state == .written }
            guard written.allSatisfy({ overlay.free($0.range) }) else { return false }
            state.blocks.set(first..<end, .zeros)
            return true
        }
        let behind = min(end * size, range.upperBound)
        if !isFreed { try writeZeros(first * size..<behind, if: isWanted) }
        try writeZeros(behind..<range.upperBound, if: isWanted)
    }

    private func writeZeros(
        _ range: Range<UInt64>, if isWanted: () -> Bool
    ) throws(MountFailure) {
        var at = range.lowerBound
        while at < range.upperBound {
            let end = min(at + Self.zerosByteCount, range.upperBound)
            try write([UInt8](repeating: 0, count: Int(end - at)), at: at, if: isWanted)
            at = end
        }
    }

    private func changeable() throws(MountFailure) -> OverlayFile {
        guard let overlay else { throw .overlay("this mount is read-only") }
        return overlay
    }

    /// At most so many from the range's beginning on; neighbours differ.
    package func extents(_ range: Range<UInt64>, countMax: Int) -> [ViewExtent] {
        let (base, runs) = state.withLockedValue {
            ($0.base, $0.blocks.runs(in: range, countMax: countMax + 1))
        }
        var extents: [ViewExtent] = []
        for (part, state) in runs {
            let own =
                switch state {
                case .written: [ViewExtent(part, .data)]
                case .zeros: [ViewExtent(part, .hole)]
                case .below:
                    base?.extents(part, countMax: countMax) ?? [ViewExtent(part, .hole)]
                }
            for extent in own {
                if let last = extents.last, last.kind == extent.kind {
                    extents[extents.count - 1].range =
                        last.range.lowerBound..<extent.range.upperBound
                } else if extents.count < countMax {
                    extents.append(extent)
                } else {
                    return extents
                }
            }
            // What lies below may have told only a part.
            guard own.last?.range.upperBound == part.upperBound else { return extents }
        }
        return extents
    }
}
