package import Mesh

/// Damage as operators and peers hear of it.
extension VolumeCore {
    /// Not all that the last process may have written is written again.
    package var isReplaying: Bool { !isSettled }
    /// A checkpoint would end that.
    var canSettle: Bool { !isSettled && resync == nil && applied >= replayEnd }

    package var damagedBlockCount: Int {
        volumes.reduce(0) { $0 + $1.record.damaged.count }
    }

    package func damagedRanges(of volume: VolumeID) -> [Range<UInt64>] {
        position(of: volume).map { place in
            volumes[place].record.damaged.ranges(of: volumes[place].record.byteCount)
        } ?? []
    }

    /// What the map of an image says takes no space in it.
    package func gaps(of volume: VolumeID) -> [Range<UInt64>] {
        position(of: volume).map { volumes[$0].record.allocation.gaps } ?? []
    }

    /// What is looked at behind every event, told at once: whoever doesn't know the kind of the disk pays
    /// for each question.
    var upkeep: Upkeep {
        Upkeep(
            isResyncing: isResyncing, isReplaying: isReplaying, hasNewDamage: hasNewDamage,
            wantsSaving: hasNewDamage && !isReplaying || hasManyEdges || canSettle,
            damagedBlockCount: damagedBlockCount, distrustedBlockCount: distrusted.count)
    }

    /// More than should be kept for one checkpoint.
    var hasManyEdges: Bool { edges.count > VolumeLimits.edgesMax }

    /// What is damaged or distrusted, by volume and place, a piece for each block: a source whose block beside it is
    /// damaged has to be able to answer.
    var wantedPieces: [Piece] {
        let size = BlockSum.blockByteCount
        let damaged = volumes.flatMap { volume in
            volume.record.damaged.blocks.map { block in
                let end = min((block + 1) * size, volume.record.byteCount)
                return Piece(volume.id, block * size..<end)
            }
        }
        guard !distrusted.isEmpty else { return damaged }
        return distrusted.union(damaged).sorted {
            ($0.volume, $0.range.lowerBound) < ($1.volume, $1.range.lowerBound)
        }
    }
}

/// How volumes do, as far as something may have to be done about it.
struct Upkeep {
    let isResyncing: Bool
    let isReplaying: Bool
    let hasNewDamage: Bool
    /// A checkpoint would end something that should not last.
    let wantsSaving: Bool
    let damagedBlockCount: Int
    let distrustedBlockCount: Int
}
