package import Disk
package import Mesh
internal import Planted

/// Names a cut to whoever asked for it.
package struct CutTicket: Name {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A volume as it was when a cut began.
package struct CutVolume: Hashable, Sendable {
    package let id: VolumeID
    package let name: String
    package let byteCount: UInt64
    package let isSync: Bool
    /// The last write that is in it.
    package let generation: ExportGeneration
    package let number: UInt64
    /// What may hold anything; all else reads zero.
    package let allocated: [Range<UInt64>]
    /// At least what the log changed above the index that was asked for; nil where that is not known.
    package let changed: [Range<UInt64>]?
}

/// All of them, as of one index.
package struct BegunCut: Hashable, Sendable {
    package let index: LogIndex
    package let volumes: [CutVolume]
}

package enum CutRefused: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is here is not one moment's yet.
    case incomplete
    case underWay(since: LogIndex)
    /// There is none, or it ended.
    case none
    /// So much was written over before it was read that it could not be kept.
    case overrun(byteCountMax: Int)
    /// Deleted since, or created since.
    case unknownVolume(VolumeID)
    case outOfRange
    /// A block is damaged and waits for a peer's bytes.
    case damaged
    /// What was read is not kept.
    case readBefore

    package var description: String {
        switch self {
        case .incomplete: "this replica is not complete: it copies, or replays its log"
        case .underWay(let index): "another cut is under way, as of \(index)"
        case .none: "there is no cut"
        case .overrun(let count):
            "more than \(count) bytes were written over before they were read"
        case .unknownVolume(let id): "volume \(id) is not, or no more, part of it"
        case .outOfRange: "that is no part of the volume"
        case .damaged: "a block is damaged, and waits for a peer's bytes"
        case .readBefore: "it was read before"
        }
    }
}

/// All volumes as of one index, while the log goes on: what an entry is about to write over is read first and kept, until
/// it is asked for. Everything is read once, so nothing is kept for long.
struct Cut: Sendable {
    /// A small one would be many, of a large one more than is written over has to be read.
    static let granuleByteCount: UInt64 = 16 << 10

    struct Part: Sendable {
        let byteCount: UInt64
        /// One bit a granule that was not read yet.
        private var left: [UInt64]
        private var kept: [UInt64: [UInt8]] = [:]
        /// Written over while they were damaged: what they were is known nowhere.
        private var spoiled: Set<UInt64> = []

        init(_ byteCount: UInt64) {
            self.byteCount = byteCount
            let granules = (byteCount + Cut.granuleByteCount - 1) / Cut.granuleByteCount
            left = [UInt64](repeating: .max, count: Int((granules + 63) / 64))
        }

        func isLeft(_ granule: UInt64) -> Bool {
            left[Int(granule / 64)] >> (granule % 64) & 1 == 1
        }
        var keptByteCount: Int { kept.values.reduce(0) { $0 + $1.count } }
        func kept(_ granule: UInt64) -> [UInt8]? { kept[granule] }
        func isSpoiled(_ granule: UInt64) -> Bool { spoiled.contains(granule) }

        /// What it was, or nil where it was damaged.
        mutating func keep(_ granule: UInt64, _ bytes: [UInt8]?) {
            left[Int(granule / 64)] &= ~(1 << (granule % 64))
            if let bytes { kept[granule] = bytes } else { spoiled.insert(granule) }
        }

        /// It was read. Gives how much less is kept.
        mutating func take(_ granule: UInt64) -> Int {
            left[Int(granule / 64)] &= ~(1 << (granule % 64))
            return kept.removeValue(forKey: granule)?.count ?? 0
        }

        /// nil unless it begins and ends at granules, or at the volume's end.
        func granules(at offset: UInt64, count: Int) -> Range<UInt64>? {
            guard (1...VolumeLimits.readByteCountMax).contains(count) else { return nil }
            let (end, isTooLong) = offset.addingReportingOverflow(UInt64(count))
            guard !isTooLong, end <= byteCount, offset % Cut.granuleByteCount == 0,
                end % Cut.granuleByteCount == 0 || end == byteCount
            else { return nil }
            return Cut.granules(offset..<end)
        }

        func range(of granule: UInt64) -> Range<UInt64> {
            let start = granule * Cut.granuleByteCount
            return start..<min(start + Cut.granuleByteCount, byteCount)
        }
    }

    let index: LogIndex
    var parts: [VolumeID: Part]
    var keptByteCount = 0
    var isOverrun = false

    mutating func giveUp() { (parts, keptByteCount, isOverrun) = ([:], 0, true) }

    /// A volume goes, with what is kept of it.
    mutating func forget(_ id: VolumeID) {
        keptByteCount -= parts.removeValue(forKey: id)?.keptByteCount ?? 0
    }

    static func granules(_ range: Range<UInt64>) -> Range<UInt64> {
        range.lowerBound / granuleByteCount..<(range.upperBound + granuleByteCount - 1)
            / granuleByteCount
    }
}

extension VolumeCore {
    /// As of which index a cut is under way.
    var cutIndex: LogIndex? { cut?.index }
    /// Memory of what was written over and is still to be read.
    var cutKeptBytes: Int { cut?.keptByteCount ?? 0 }

    /// Holds on to all volumes as they are now, and tells what changed above `since`.
    mutating func beginCut(since: LogIndex?) -> Result<BegunCut, CutRefused> {
        if let cut { return .failure(.underWay(since: cut.index)) }
        // Behind a restart the volumes are ahead of what is known committed, and so of the decisions.
        guard resync == nil, !isReplaying, handed >= applied else { return .failure(.incomplete) }
        cut = Cut(
            index: applied,
            parts: Dictionary(
                uniqueKeysWithValues: volumes.map { ($0.id, Cut.Part($0.record.byteCount)) }))
        let described = volumes.map { Self.described($0, since) }
        return .success(BegunCut(index: applied, volumes: described))
    }

    private static func described(_ volume: Volume, _ since: LogIndex?) -> CutVolume {
        let record = volume.record
        var held = record.allocation
        for extent in volume.committed.extents {
            if case .data = extent.content { held.insert(extent.range) }
        }
        let changed = since.flatMap { record.changes.changed(since: $0, of: record.byteCount) }
        return CutVolume(
            id: volume.id, name: record.name, byteCount: record.byteCount, isSync: record.isSync,
            generation: record.generation, number: record.number, allocated: held.ranges,
            changed: changed?.ranges)
    }

    mutating func endCut() { cut = nil }

    /// What a part of a volume was when the cut began. It begins and ends at granules, or at the volume's end, and is
    /// given once.
    mutating func readCut(
        _ id: VolumeID, at offset: UInt64, count: Int
    ) throws(DiskError) -> Result<[UInt8], CutRefused> {
        guard let isOverrun = cut?.isOverrun else { return .failure(.none) }
        guard !isOverrun else {
            return .failure(.overrun(byteCountMax: limits.cutByteCountMax))
        }
        // Out of its place meanwhile: what has a second owner is copied before it changes.
        guard let place = position(of: id), var part = cut?.parts.removeValue(forKey: id) else {
            return .failure(.unknownVolume(id))
        }
        defer { cut?.parts[id] = part }
        guard let granules = part.granules(at: offset, count: count) else {
            return .failure(.outOfRange)
        }
        return try read(granules, of: &part, place)
    }

    private mutating func read(
        _ granules: Range<UInt64>, of part: inout Cut.Part, _ place: Int
    ) throws(DiskError) -> Result<[UInt8], CutRefused> {
        var bytes: [UInt8] = []
        var at = granules.lowerBound
        while at < granules.upperBound {
            if part.isSpoiled(at) { return .failure(.damaged) }
            if let kept = part.kept(at) {
                bytes += kept
                at += 1
                continue
            }
            guard part.isLeft(at) else { return .failure(.readBefore) }
            let end = (at..<granules.upperBound).first { !part.isLeft($0) } ?? granules.upperBound
            let range = part.range(of: at).lowerBound..<part.range(of: end - 1).upperBound
            guard let read = try contents(place, range, pending: false) else {
                return .failure(.damaged)
            }
            // All of it is mostly read at once.
            if bytes.isEmpty { bytes = read } else { bytes += read }
            at = end
        }
        for granule in granules { cut?.keptByteCount -= part.take(granule) }
        return .success(bytes)
    }

    /// Before what is committed in `range` becomes something else.
    mutating func keepForCut(_ range: Range<UInt64>, _ place: Int) throws(DiskError) {
        guard cut != nil, !isPlanted(.writesOverTheCut) else { return }
        let id = volumes[place].id
        guard var part = cut?.parts.removeValue(forKey: id) else { return }
        // What was added since the cut began is no part of it.
        let range = range.clamped(to: 0..<part.byteCount)
        for granule in range.isEmpty ? 0..<0 : Cut.granules(range) where part.isLeft(granule) {
            let own = part.range(of: granule)
            guard cutKeptBytes + own.count <= limits.cutByteCountMax else {
                cut?.giveUp()
                return
            }
            let bytes = try contents(place, own, pending: false)
            part.keep(granule, bytes)
            cut?.keptByteCount += bytes?.count ?? 0
        }
        cut?.parts[id] = part
    }
}

/// Whether or not this node acts: a backup may be made of any whole replica.
extension Exports {
    /// A part of what there was, which is given once.
    package mutating func readCut(
        _ volume: VolumeID, at offset: UInt64, count: Int
    ) throws(DiskError) -> Result<[UInt8], CutRefused> {
        try core.readCut(volume, at: offset, count: count)
    }
}
