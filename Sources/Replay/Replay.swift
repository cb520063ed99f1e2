package import Decisions
package import Mesh
internal import Node
package import Record
package import VolumeCore

/// What an archived log does to volumes that a backup gave back, entry by entry, as every replica did it.
package struct Replay: Sendable {
    /// A volume as far as the replay has come.
    package struct Volume: Hashable, Sendable {
        package let name: String
        package fileprivate(set) var byteCount: UInt64
        /// The last write that is in it: the log may hold it once more (protocol-rules 16).
        fileprivate var generation: ExportGeneration
        fileprivate var number: UInt64

        package init(
            name: String, byteCount: UInt64, generation: ExportGeneration, number: UInt64
        ) {
            (self.name, self.byteCount) = (name, byteCount)
            (self.generation, self.number) = (generation, number)
        }
    }

    package enum Deed: Hashable, Sendable {
        case write(VolumeID, offset: UInt64, ArraySlice<UInt8>)
        /// Zeros, or a hole, which reads as such.
        case zero(VolumeID, Range<UInt64>)
        case create(VolumeID)
        case delete(VolumeID)
        /// It is this long now, and reads zero behind where it ended.
        case grow(VolumeID, byteCount: UInt64)
    }

    package private(set) var volumes: [VolumeID: Volume]
    /// The last entry that was replayed, or that the backup is of.
    package private(set) var position: Position
    private var rulings: Rulings

    /// What was decided up to there.
    package var decisions: Decisions { rulings.decisions }

    /// As of `position`: what was decided there, and which volumes there were.
    package init(
        behind position: Position, _ decisions: Decisions, _ volumes: [VolumeID: Volume]
    ) {
        (self.position, self.volumes) = (position, volumes)
        rulings = Rulings(decisions)
    }

    /// What the next entry does; nil for one that concerns no volume, or was refused.
    package mutating func apply(_ entry: Entry) throws(ReplayRefused) -> Deed? {
        guard entry.index == position.index.next, entry.term >= position.term else {
            throw .notNext(entry.position, behind: position)
        }
        guard let ruling = rulings.rule(entry) else { throw .unknown(entry.index) }
        position = entry.position
        switch ruling {
        case .nothing: return nil
        case .created(let id, let name, let byteCount, _):
            volumes[id] = Volume(name: name, byteCount: byteCount, generation: .none, number: 0)
            return .create(id)
        case .deleted(let id): return volumes.removeValue(forKey: id).map { _ in .delete(id) }
        case .grown(let id, let byteCount):
            guard let volume = volumes[id], volume.byteCount < byteCount else { return nil }
            volumes[id]?.byteCount = byteCount
            return .grow(id, byteCount: byteCount)
        case .accepted: return try write(entry)
        }
    }

    private mutating func write(_ entry: Entry) throws(ReplayRefused) -> Deed? {
        let write: VolumeWrite
        do throws(VolumeWriteRefused) { write = try VolumeWrite(parsing: entry) } catch {
            switch error {
            case .unknownOperation, .unknownFlags: throw .unknown(entry.index)
            // Such as no replica takes either.
            case .short, .byteCount, .offset: return nil
            }
        }
        guard volumes[write.volume]?.admit(write) == true else { return nil }
        switch write.operation {
        case .write: return .write(write.volume, offset: write.offset, write.data)
        case .zeroes, .trim: return .zero(write.volume, write.range)
        }
    }
}

extension Replay.Volume {
    /// Exactly the next one of the newest opening passes, as on every replica (`VolumeCore`).
    fileprivate mutating func admit(_ write: VolumeWrite) -> Bool {
        guard write.generation >= generation else { return false }
        let last = write.generation == generation ? number : 0
        guard write.number > last, write.number - last == 1, write.range.upperBound <= byteCount
        else { return false }
        (generation, number) = (write.generation, write.number)
        return true
    }
}

package enum ReplayRefused: Error, Hashable, Sendable, CustomStringConvertible {
    case notNext(Position, behind: Position)
    /// Of a kind, or a feature level, that this release does not know.
    case unknown(LogIndex)

    package var description: String {
        switch self {
        case .notNext(let position, let last):
            "the log goes on with \(position) behind \(last): that is not the next entry"
        case .unknown(let index):
            "entry \(index) holds what this release does not know: restore with the release that wrote it, or a newer one"
        }
    }
}
