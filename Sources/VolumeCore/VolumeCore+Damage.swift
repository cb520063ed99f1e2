internal import Mesh

/// Damage as operators and peers hear of it.
extension VolumeCore {
    /// Not all that the last process may have applied is applied again.
    package var isReplaying: Bool { applied < replayEnd }

    package var damagedBlockCount: Int {
        volumes.reduce(0) { $0 + $1.record.damaged.count }
    }

    /// More than should be kept for one checkpoint.
    var hasManyEdges: Bool { edges.count > VolumeLimits.edgesMax }

    /// What is damaged, by volume and place, in pieces that may be asked for.
    var damagedPieces: [Piece] {
        let size = UInt64(limits.resync.pieceByteCountMax)
        return volumes.flatMap { volume in
            volume.record.damaged.ranges(of: volume.record.byteCount).flatMap { range in
                stride(from: range.lowerBound, to: range.upperBound, by: Int(size)).map {
                    Piece(volume.id, $0..<min($0 + size, range.upperBound))
                }
            }
        }
    }
}
