package import Disk
package import Mesh
internal import Planted
package import Record

/// A damaged log while it is made whole: nothing is voted, acknowledged or appended by it.
///
/// Only what is damaged is written over, each time with bytes that its identity proves, so that a
/// power cut at any moment leaves a log with the same damage or less.
package struct LogMend<D: Disk>: Sendable {
    package let damage: LogDamage
    private var core: JournalCore<D>
    private let patches: [Patch]
    private let baseToWrite: JournalFile?
    private var missing: [LogIndex: EntryIdentity]
    private var base: Base?
    /// Files with bytes that are not synced.
    private var unsynced: Set<FileHandle> = []

    /// Reads the log as `JournalCore.open` does, and changes nothing. nil where nothing is damaged.
    package init?(
        _ disk: inout D, settings: JournalSettings, random: SeededRandom
    ) throws(JournalError) {
        var core = JournalCore(disk: disk, settings: settings, random: random)
        defer { disk = core.disk }
        let survey: Survey
        do {
            let files = try core.disk.list().compactMap(JournalFile.init)
            survey = try core.survey(files)
        } catch {
            core.closeFiles()
            throw (error as? JournalError) ?? JournalCore<D>.wrapped(error)
        }
        guard let damage = survey.damage(core) else {
            core.closeFiles()
            return nil
        }
        self.core = core
        self.damage = damage
        (patches, base, baseToWrite) = (survey.patches, survey.base, survey.baseToWrite)
        missing = Dictionary(uniqueKeysWithValues: damage.missing.map { ($0.index, $0) })
    }

    /// Writes what stands here a second time to where it should stand. First of all it makes safe what
    /// tells what is missing: a power cut must not take that while the mend lasts. It is written once more,
    /// since a sync may have failed before, and what only the cache holds then is never written (Rebello 2020, §4).
    package mutating func mendHere() throws(JournalError) {
        try attempt { mend throws(DiskError) in
            for segment in mend.core.segments where !isPlanted(.mendsByUnsafeRows) {
                try mend.core.rewrite(segment.index)
            }
            for patch in mend.patches {
                let file = try mend.core.disk.open(patch.file, create: false)
                defer { mend.core.disk.close(file) }
                try mend.core.disk.write(file, at: patch.offset, [patch.bytes])
                try mend.core.disk.sync(file)
            }
            if let name = mend.baseToWrite, let base = mend.base {
                try mend.write(base, as: [name])
            }
        }
    }

    private mutating func write(_ base: Base, as names: [JournalFile]) throws(DiskError) {
        let pieces = BaseFile.pieces(base, number: core.base.number, cluster: core.settings.cluster)
        for name in names { try core.writeBase(pieces, as: name) }
        try core.disk.syncDirectory()
    }

    /// Puts a lost entry where it stood; false unless it is one that is missing, byte for byte.
    package mutating func restore(_ entry: Entry) throws(JournalError) -> Bool {
        guard missing[entry.index] == entry.identity else { return false }
        let place = core.places[Int(entry.index.distance(above: core.base.position.index)) - 1]
        let oldest = UInt32(truncatingIfNeeded: core.segments[0].header.sequence)
        let file = core.segments[Int(place.segment &- oldest)].file
        try attempt { mend throws(DiskError) in
            try mend.core.disk.write(file, at: UInt64(place.offset), [entry.bytes])
        }
        unsynced.insert(file)
        missing[entry.index] = nil
        return true
    }

    /// Puts the very base that the log builds on where it stood; false where it is another.
    package mutating func restore(_ base: Base) throws(JournalError) -> Bool {
        guard let wanted = damage.base, wanted == BaseIdentity(base) else { return false }
        let number = core.base.number
        try attempt { mend throws(DiskError) in
            try mend.write(base, as: [.copy(number), .base(number)])
        }
        self.base = base
        return true
    }

    /// Makes safe what was restored.
    package mutating func sync() throws(JournalError) {
        try attempt { mend throws(DiskError) in
            for file in mend.unsynced.sorted(by: { $0.rawValue < $1.rawValue }) {
                try mend.core.disk.sync(file)
            }
        }
        unsynced = []
    }

    /// What this log says of a peer's damage.
    package mutating func lookUp(_ entry: EntryIdentity) throws(JournalError) -> LookUp {
        try core.lookUp(entry)
    }

    /// The base that the log builds on, where it is whole.
    package var ownBase: Base? { base }

    /// Lets a simulation hurt the disk under a mend.
    package mutating func alterDisk(_ alter: (inout D) -> Void) { core.alterDisk(alter) }

    /// Lets go of the files, so that the log can be opened.
    package consuming func close() -> D {
        core.closeFiles()
        return core.disk
    }

    private mutating func attempt(
        _ deed: (inout LogMend) throws(DiskError) -> Void
    ) throws(JournalError) {
        do throws(DiskError) { try deed(&self) } catch { throw .disk(error) }
    }
}

/// What a log says when it is asked for one entry.
package enum LookUp: Hashable, Sendable {
    case holds(Entry)
    /// Another entry stands there, or none.
    case lacks
    /// The base stands for it.
    case compacted
    /// It stood here, and can't be read.
    case damaged
}

extension JournalCore {
    fileprivate mutating func rewrite(_ file: FileHandle) throws(DiskError) {
        let bytes = try disk.read(file, at: 0, count: Int(disk.byteCount(file)))
        try disk.write(file, at: 0, [bytes])
        try disk.sync(file)
    }

    mutating func closeFiles() {
        for segment in segments {
            disk.close(segment.file)
            disk.close(segment.index)
        }
    }

    package mutating func lookUp(_ entry: EntryIdentity) throws(JournalError) -> LookUp {
        guard entry.index > base.position.index else { return .compacted }
        guard term(at: entry.index) == entry.position.term else { return .lacks }
        do throws(JournalError) {
            let found = try entries(from: entry.index, through: entry.index, bytesMax: .max)
            guard let found = found.first, found.identity == entry else { return .damaged }
            return .holds(found)
        } catch .damaged { return .damaged }
    }
}
