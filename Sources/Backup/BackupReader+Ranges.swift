package import Repository

extension BackupReader {
    /// Writes those bytes of a volume, which has them, to a target that begins where they begin. Reads the cells that they lie in
    /// and no others, but for what lies between two of them.
    package func restore(
        _ map: VolumeMap, bytes: Range<UInt64>, to target: some CellTarget
    ) throws(BackupFailure) {
        guard !bytes.isEmpty else { return }
        let size = map.shape.cellByteCount
        let cells = bytes.lowerBound / size..<(bytes.upperBound - 1) / size + 1
        try restore(map, cells, to: PartTarget(target: target, range: bytes))
    }
}

/// Takes what lies in a range, from the range's beginning on.
private struct PartTarget<Target: CellTarget>: CellTarget {
    let target: Target
    let range: Range<UInt64>

    func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure) {
        let own = (offset..<offset + UInt64(bytes.count)).clamped(to: range)
        guard !own.isEmpty else { return }
        let part = bytes[Int(own.lowerBound - offset)..<Int(own.upperBound - offset)]
        try target.write(Array(part), at: own.lowerBound - range.lowerBound)
    }
}
