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

    struct File: Sendable {
        var durable: [UInt8] = []
        var current: [UInt8] = []
        var dirty = SectorSet()
        var resized = false

        mutating func put(_ bytes: [UInt8], at offset: Int) {
            guard !bytes.isEmpty else { return }
            let end = offset + bytes.count
            let have = current.count
            // Whole arrays are moved at once in every build; a repeated element is not.
            if offset > have { current += [UInt8](repeating: 0, count: offset - have) }
            if end > have { resized = true }
            if offset >= have {
                current += bytes
            } else {
                current.replaceSubrange(offset..<min(end, have), with: bytes)
            }
            let first = min(offset, have) / sectorByteCount
            dirty.insert(first..<(end - 1) / sectorByteCount + 1)
        }

        /// What is dirty is safe from here on.
        mutating func sync() {
            if resized {
                let (have, want) = (durable.count, current.count)
                if want < have { durable.removeLast(have - want) }
                durable += [UInt8](repeating: 0, count: max(0, want - have))
                resized = false
            }
            for run in dirty.runs {
                let start = run.lowerBound * sectorByteCount
                let end = min(run.upperBound * sectorByteCount, current.count)
                if start < end {
                    durable.replaceSubrange(start..<end, with: current[start..<end])
                }
            }
            dirty = SectorSet()
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

    var files: [Int: File] = [:]
    var past: [PastWrite] = []
    private(set) var names: [String: Int] = [:]
    private var durableNames: [String: Int] = [:]
    private var nameChanges: [NameChange] = []
    private var handles: [FileHandle: (file: Int, name: String)] = [:]
    private var nextNumber = 1
    private var isOff = false

    package init() {}

    package var byteCount: Int { names.values.reduce(0) { $0 + (files[$1]?.current.count ?? 0) } }

    /// Turns bit `bit` of byte `offset` around, in the cache and on the platter.
    package mutating func flip(_ name: String, at offset: Int, bit: Int) {
        guard let number = names[name] else { return invariant(false, "no file \(name) to damage") }
        files[number]?.current[offset] ^= 1 << UInt8(bit)
        if let durable = files[number]?.durable.count, offset < durable {
            files[number]?.durable[offset] ^= 1 << UInt8(bit)
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
        files[number] = File(durable: bytes, current: bytes)
        names[name] = number
        durableNames[name] = number
    }

    /// What a restart sees after the power went: all that was synced, any part of the rest.
    package mutating func crash(keeping kept: Kept = .half, using random: inout SeededRandom) {
        let (kept, whole) = kept.share
        for number in files.keys.sorted() {
            guard var file = files[number] else { continue }
            Self.settle(&file) { random.chance(kept, in: whole) }
            files[number] = file
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
        let live = Set(names.values)
        files = files.filter { live.contains($0.key) }
        handles = [:]
        isOff = false
        powerCutAtStep = nil
        failingSync = nil
        failingWrite = nil
    }

    private static func settle(_ file: inout File, isKept: () -> Bool) {
        if file.resized && isKept() {
            let (have, want) = (file.durable.count, file.current.count)
            if want < have { file.durable.removeLast(have - want) }
            file.durable += [UInt8](repeating: 0, count: max(0, want - have))
        }
        for sector in file.dirty.sectors where isKept() {
            let start = sector * sectorByteCount
            let end = min(start + sectorByteCount, file.durable.count, file.current.count)
            if start < end { file.durable[start..<end] = file.current[start..<end] }
        }
        file = File(durable: file.durable, current: file.durable)
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
        handles[handle] = (number ?? 0, name)
        return handle
    }

    package mutating func close(_ file: FileHandle) { handles[file] = nil }

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
        let before = fates[name] == nil ? nil : files[number]?.current
        let written = left
        change(number) { file in
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
        if want > have {
            change(number) { $0.put([UInt8](repeating: 0, count: want - have), at: have) }
        } else if want < have {
            files[number]?.current.removeLast(have - want)
            files[number]?.resized = true
        }
        try step(.resize, name)
    }

    package mutating func deallocate(_ file: FileHandle, _ range: Range<UInt64>)
        throws(DiskError)
    {
        let (number, name) = try place(file, .deallocate)
        let end = min(Int(range.upperBound), files[number]?.current.count ?? 0)
        let start = min(Int(range.lowerBound), end)
        change(number) { $0.put([UInt8](repeating: 0, count: end - start), at: start) }
        try step(.deallocate, name)
    }

    package mutating func sync(_ file: FileHandle) throws(DiskError) {
        counts.syncs += 1
        let (number, name) = try place(file, .sync)
        try step(.sync, name)
        if losesSyncs { return }
        if counts.syncs == failingSync {
            change(number) { $0.dirty = SectorSet() }
            throw DiskError(.sync, name, .system(5))
        }
        if remembersWrites { remember(number) }
        change(number) { $0.sync() }
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

    private func place(_ file: FileHandle, _ deed: DiskError.Deed)
        throws(DiskError) -> (file: Int, name: String)
    {
        guard let known = handles[file] else {
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
        change(number) { $0.put(bytes, at: offset) }
    }

    /// In place, since a file may be megabytes.
    private mutating func change(_ number: Int, _ body: (inout File) -> Void) {
        guard let at = files.index(forKey: number) else { return }
        body(&files.values[at])
    }
}
