import Disk
import Mesh

/// Files in memory that forget at a crash what was not synced, write by write as chance has it.
struct MemoryDisk: Disk {
    enum Change {
        case write(Int, [UInt8])
        case resize(Int)
        case zero(Range<Int>)
    }
    struct File {
        var durable: [UInt8] = []
        var bytes: [UInt8] = []
        var changes: [Change] = []
    }
    var files: [File] = []
    var names: [String: Int] = [:]
    var durableNames: [String: Int] = [:]

    mutating func crash(_ random: inout SeededRandom) {
        for i in files.indices {
            for change in files[i].changes where random.chance(1, in: 2) {
                Self.make(change, in: &files[i].durable)
            }
            files[i].bytes = files[i].durable
            files[i].changes = []
        }
        if random.chance(1, in: 2) { durableNames = names }
        names = durableNames
    }

    private static func make(_ change: Change, in bytes: inout [UInt8]) {
        switch change {
        case .write(let offset, let data):
            grow(&bytes, to: offset + data.count)
            bytes.replaceSubrange(offset..<offset + data.count, with: data)
        case .resize(let count):
            bytes.removeLast(max(0, bytes.count - count))
            grow(&bytes, to: count)
        case .zero(let range):
            for i in range.clamped(to: 0..<bytes.count) { bytes[i] = 0 }
        }
    }

    private static func grow(_ bytes: inout [UInt8], to count: Int) {
        bytes.append(contentsOf: repeatElement(0, count: max(0, count - bytes.count)))
    }

    private mutating func change(_ file: FileHandle, _ change: Change) {
        Self.make(change, in: &files[file.rawValue].bytes)
        files[file.rawValue].changes.append(change)
    }

    mutating func list() throws(DiskError) -> [String] { names.keys.sorted() }
    mutating func open(_ name: String, create: Bool) throws(DiskError) -> FileHandle {
        if let known = names[name] { return FileHandle(rawValue: known) }
        guard create else { throw DiskError(.open, name, .missing) }
        files.append(File())
        names[name] = files.count - 1
        return FileHandle(rawValue: files.count - 1)
    }
    mutating func close(_ file: FileHandle) {}
    mutating func byteCount(_ file: FileHandle) throws(DiskError) -> UInt64 {
        UInt64(files[file.rawValue].bytes.count)
    }
    mutating func read(_ file: FileHandle, at offset: UInt64, count: Int) throws(DiskError)
        -> [UInt8]
    {
        let bytes = files[file.rawValue].bytes
        guard Int(offset) + count <= bytes.count else {
            throw DiskError(
                .read, "\(file)", .shortRead(wanted: count, got: bytes.count - Int(offset)))
        }
        return Array(bytes[Int(offset)..<Int(offset) + count])
    }
    mutating func write(_ file: FileHandle, at offset: UInt64, _ pieces: [[UInt8]])
        throws(DiskError)
    {
        change(file, .write(Int(offset), Array(pieces.joined())))
    }
    mutating func resize(_ file: FileHandle, to byteCount: UInt64) throws(DiskError) {
        change(file, .resize(Int(byteCount)))
    }
    mutating func deallocate(_ file: FileHandle, _ range: Range<UInt64>) throws(DiskError) {
        change(file, .zero(Int(range.lowerBound)..<Int(range.upperBound)))
    }
    mutating func sync(_ file: FileHandle) throws(DiskError) {
        files[file.rawValue].durable = files[file.rawValue].bytes
        files[file.rawValue].changes = []
    }
    mutating func rename(_ name: String, to other: String) throws(DiskError) {
        names[other] = names.removeValue(forKey: name)
    }
    mutating func remove(_ name: String) throws(DiskError) { names[name] = nil }
    mutating func syncDirectory() throws(DiskError) { durableNames = names }
}
