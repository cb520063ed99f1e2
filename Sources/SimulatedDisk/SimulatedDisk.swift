package import Disk
package import Mesh

/// A disk in memory that may do all that a real one is allowed to: it is a value, so a test keeps
/// any moment of it.
///
/// Writes are visible at once and safe only after a sync. `crash` keeps any subset of the unsynced
/// sectors and of the unsynced changes of names, each drawn apart: no order is promised between them.
package struct SimulatedDisk: Disk {
    package static let sectorByteCount = 512

    /// What the disk was asked to do, counted whether or not it succeeded.
    package struct Counts: Hashable, Sendable {
        package var reads = 0
        package var writes = 0
        package var syncs = 0
        package var directorySyncs = 0
        /// Operations that change something, or make a change safe: where a power cut may strike.
        package var steps = 0
    }

    /// How much of what is not safe a crash keeps.
    package enum Kept: String, Hashable, Sendable, CaseIterable {
        case nothing, few, half, most, everything

        fileprivate var share: (UInt64, in: UInt64) {
            switch self {
            case .nothing: (0, in: 1)
            case .few: (1, in: 8)
            case .half: (1, in: 2)
            case .most: (7, in: 8)
            case .everything: (1, in: 1)
            }
        }
    }

    private enum NameChange: Sendable {
        case created(String, Int)
        case renamed(String, String, Int)
        case removed(String)
    }

    package private(set) var counts = Counts()
    /// The step, counted from 1, in whose middle the power goes.
    package var powerCutAtStep: Int?
    /// The file sync, counted from 1, that fails once; the next one claims success without having
    /// written what this one lost (Rebello 2020, §3.3).
    package var failingSync: Int?
    /// The file write, counted from 1, that fails after half its bytes.
    package var failingWrite: Int?
    /// Claims every sync and makes nothing safe: a disk that lies, or a program that never asks.
    package var losesSyncs = false
    /// Keeps what the last syncs wrote over, so that one of them can be taken back.
    package var remembersWrites = false
    /// By file: what becomes of the next write to a part of it.
    package var fates: [String: WriteFate] = [:]
    /// A fate was met.
    package var hasSpoiled = false
    /// Bytes that fit on the disk in all files together.
    package var byteCountMax = Int.max

    var files = Numbered<File>()
    var past: [PastWrite] = []
    private(set) var names: [String: Int] = [:]
    private var durableNames: [String: Int] = [:]
    private var nameChanges: [NameChange] = []
    private var handles = Numbered<(file: Int, name: String)>()
    private var nextNumber = 1
    private var isOff = false

    package init() {}

    package var byteCount: Int { names.values.reduce(0) { $0 + (files[$1]?.current.count ?? 0) } }

    /// Turns bit `bit` of byte `offset` around, in the cache and on the platter.
    package mutating func flip(_ name: String, at offset: Int, bit: Int) {
        guard let number = names[name] else { return invariant(false, "no file \(name) to damage") }
        files.change(number) { file in
            invariant(offset < file.current.count, "\(name) has no byte \(offset) to damage")
            file.change(offset) { $0 ^= 1 << UInt8(bit) }
        }
    }

    /// All bytes of `name`, for tests that compare or transplant them.
    package func contents(of name: String) -> [UInt8]? {
        names[name].flatMap { files[$0]?.current }
    }

    /// Puts `bytes` under `name`, safe at once, as a careless hand might.
    package mutating func plant(_ bytes: [UInt8], as name: String) {
        let number = nextNumber
        nextNumber += 1
        files[number] = File(bytes)
        names[name] = number
        durableNames[name] = number
    }

    /// What a restart sees after the power went: all that was synced, any part of the rest.
    package mutating func crash(keeping kept: Kept = .half, using random: inout SeededRandom) {
        let (kept, whole) = kept.share
        for number in files.numbers {
            files.change(number) { $0.settle { random.chance(kept, in: whole) } }
        }
        for change in nameChanges where random.chance(kept, in: whole) {
            switch change {
            case .created(let name, let number): durableNames[name] = number
            case .removed(let name): durableNames[name] = nil
            case .renamed(let old, let new, let number):
                if durableNames[old] == number { durableNames[old] = nil }
                durableNames[new] = number
            }
        }
        nameChanges = []
        names = durableNames
        files.keep(only: Set(names.values))
        handles = Numbered()
        isOff = false
        powerCutAtStep = nil
        failingSync = nil
        failingWrite = nil
    }
}

extension SimulatedDisk {
    package mutating func list() throws(DiskError) -> [String] {
        guard !isOff else { throw DiskError(.list, ".", .powerCut) }
        return names.keys.sorted()
    }

    package mutating func open(_ name: String, create: Bool) throws(DiskError) -> FileHandle {
        guard !isOff else { throw DiskError(.open, name, .powerCut) }
        var number = names[name]
        if number == nil {
            guard create else { throw DiskError(.open, name, .missing) }
            let new = nextNumber
            nextNumber += 1
            files[new] = File()
            names[name] = new
            nameChanges.append(.created(name, new))
            number = new
            try step(.open, name)
        }
        let handle = FileHandle(rawValue: nextNumber)
        nextNumber += 1
        handles[handle.rawValue] = (number ?? 0, name)
        return handle
    }

    package mutating func close(_ file: FileHandle) { handles[file.rawValue] = nil }

    package mutating func byteCount(_ file: FileHandle) throws(DiskError) -> UInt64 {
        let (number, _) = try place(file, .stat)
        return UInt64(files[number]?.current.count ?? 0)
    }

    package mutating func read(_ file: FileHandle, at offset: UInt64, count: Int)
        throws(DiskError) -> [UInt8]
    {
        counts.reads += 1
        let (number, name) = try place(file, .read)
        let bytes = files[number]?.current ?? []
        let got = offset > UInt64(bytes.count) ? 0 : bytes.count - Int(offset)
        guard got >= count else {
            throw DiskError(.read, name, .shortRead(wanted: count, got: got))
        }
        return Array(bytes[Int(offset)..<Int(offset) + count])
    }

    package mutating func write(_ file: FileHandle, at offset: UInt64, _ pieces: [[UInt8]])
        throws(DiskError)
    {
        counts.writes += 1
        let (number, name) = try place(file, .write)
        var left = pieces.reduce(0) { $0 + $1.count }
        var cause: DiskError.Cause?
        if byteCountMax != .max {
            let growth = max(0, Int(offset) + left - (files[number]?.current.count ?? 0))
            let excess = byteCount + growth - byteCountMax
            if excess > 0 {
                cause = .full
                left -= min(left, excess)
            }
        }
        if counts.writes == failingWrite { cause = .system(5) }
        if case .system = cause { left -= left / 2 }
        let before = fates.isEmpty || fates[name] == nil ? nil : files[number]?.current
        let written = left
        files.change(number) { file in
            var offset = Int(offset)
            for piece in pieces where left > 0 {
                let part = piece.count <= left ? piece : Array(piece[..<left])
                file.put(part, at: offset)
                (offset, left) = (offset + part.count, left - part.count)
            }
        }
        if let before { meetFate(name, Int(offset), written, before: before) }
        try step(.write, name)
        if let cause { throw DiskError(.write, name, cause) }
    }

    package mutating func resize(_ file: FileHandle, to byteCount: UInt64) throws(DiskError) {
        let (number, name) = try place(file, .resize)
        let (have, want) = (files[number]?.current.count ?? 0, Int(byteCount))
        if byteCountMax != .max, self.byteCount + want - have > byteCountMax {
            throw DiskError(.resize, name, .full)
        }
        if want != have { files.change(number) { $0.resize(to: want) } }
        try step(.resize, name)
    }

    package mutating func deallocate(_ file: FileHandle, _ range: Range<UInt64>)
        throws(DiskError)
    {
        let (number, name) = try place(file, .deallocate)
        let end = min(Int(range.upperBound), files[number]?.current.count ?? 0)
        let start = min(Int(range.lowerBound), end)
        files.change(number) { $0.zero(start..<end) }
        try step(.deallocate, name)
    }

    package mutating func sync(_ file: FileHandle) throws(DiskError) {
        counts.syncs += 1
        let (number, name) = try place(file, .sync)
        try step(.sync, name)
        if losesSyncs { return }
        if counts.syncs == failingSync {
            files.change(number) { $0.failSync() }
            throw DiskError(.sync, name, .system(5))
        }
        let remembers = remembersWrites
        var past: [PastWrite] = []
        files.change(number) { file in
            if remembers {
                for range in file.dirtyRanges {
                    past.append(
                        PastWrite(file: number, range: range, before: file.durable(range)))
                }
            }
            file.sync()
        }
        if !past.isEmpty { remember(past) }
    }

    package mutating func rename(_ name: String, to other: String) throws(DiskError) {
        guard !isOff else { throw DiskError(.rename, name, .powerCut) }
        guard let number = names[name] else { throw DiskError(.rename, name, .missing) }
        names[name] = nil
        names[other] = number
        nameChanges.append(.renamed(name, other, number))
        try step(.rename, name)
    }

    package mutating func remove(_ name: String) throws(DiskError) {
        guard !isOff else { throw DiskError(.remove, name, .powerCut) }
        guard names[name] != nil else { throw DiskError(.remove, name, .missing) }
        names[name] = nil
        nameChanges.append(.removed(name))
        try step(.remove, name)
    }

    package mutating func syncDirectory() throws(DiskError) {
        counts.directorySyncs += 1
        guard !isOff else { throw DiskError(.syncDirectory, ".", .powerCut) }
        try step(.syncDirectory, ".")
        durableNames = names
        nameChanges = []
    }

    // Inlined, or every operation would copy the whole disk to ask it this.
    @inline(__always) private func place(_ file: FileHandle, _ deed: DiskError.Deed)
        throws(DiskError) -> (file: Int, name: String)
    {
        guard let known = handles[file.rawValue] else {
            throw DiskError(deed, "handle \(file.rawValue)", isOff ? .powerCut : .missing)
        }
        guard !isOff else { throw DiskError(deed, known.name, .powerCut) }
        return known
    }

    private mutating func step(_ deed: DiskError.Deed, _ name: String) throws(DiskError) {
        counts.steps += 1
        guard let last = powerCutAtStep, counts.steps >= last else { return }
        isOff = true
        throw DiskError(deed, name, .powerCut)
    }

    mutating func put(_ name: String, _ bytes: [UInt8], at offset: Int) {
        guard let number = names[name] else { return }
        files.change(number) { $0.put(bytes, at: offset) }
    }
}
