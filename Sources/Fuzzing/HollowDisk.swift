internal import Disk

/// A disk in memory whose files may be terabytes long: it keeps what is written near their beginning,
/// and all else reads as zero. Nothing fails and all is safe at once.
struct HollowDisk: Disk {
    /// Bytes behind it are forgotten.
    static let keptByteCountMax = 256 << 10

    private struct File {
        var byteCount: UInt64 = 0
        /// The beginning; what is missing of it is zero.
        var bytes: [UInt8] = []
    }

    private var files: [String: File] = [:]
    private var handles: [String] = []

    mutating func plant(_ bytes: [UInt8], as name: String) {
        files[name] = File(byteCount: UInt64(bytes.count), bytes: bytes)
    }

    func contents(of name: String) -> [UInt8]? { files[name]?.bytes }

    func list() -> [String] { files.keys.sorted() }

    mutating func open(_ name: String, create: Bool) throws(DiskError) -> FileHandle {
        if files[name] == nil {
            guard create else { throw DiskError(.open, name, .missing) }
            files[name] = File()
        }
        handles.append(name)
        return FileHandle(rawValue: handles.count - 1)
    }

    func close(_ file: FileHandle) {}

    func byteCount(_ file: FileHandle) throws(DiskError) -> UInt64 {
        try self.file(file, .stat).byteCount
    }

    func read(_ file: FileHandle, at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
        let found = try self.file(file, .read)
        guard offset + UInt64(count) <= found.byteCount else {
            let got = Int(clamping: found.byteCount) - Int(clamping: offset)
            throw DiskError(.read, name(file), .shortRead(wanted: count, got: max(0, got)))
        }
        let start = min(Int(clamping: offset), found.bytes.count)
        let end = min(Int(clamping: offset + UInt64(count)), found.bytes.count)
        return found.bytes[start..<end] + [UInt8](repeating: 0, count: count - (end - start))
    }

    mutating func write(_ file: FileHandle, at offset: UInt64, _ pieces: [[UInt8]])
        throws(DiskError)
    {
        var offset = offset
        for piece in pieces {
            try put(piece, at: offset, in: file)
            offset += UInt64(piece.count)
        }
    }

    private mutating func put(_ bytes: [UInt8], at offset: UInt64, in file: FileHandle)
        throws(DiskError)
    {
        var found = try self.file(file, .write)
        let end = offset + UInt64(bytes.count)
        found.byteCount = max(found.byteCount, end)
        if end <= UInt64(Self.keptByteCountMax) {
            let missing = Int(end) - found.bytes.count
            if missing > 0 { found.bytes += [UInt8](repeating: 0, count: missing) }
            found.bytes.replaceSubrange(Int(offset)..<Int(end), with: bytes)
        }
        files[name(file)] = found
    }

    mutating func resize(_ file: FileHandle, to byteCount: UInt64) throws(DiskError) {
        var found = try self.file(file, .resize)
        found.byteCount = byteCount
        found.bytes.removeLast(max(0, found.bytes.count - Int(clamping: byteCount)))
        files[name(file)] = found
    }

    mutating func deallocate(_ file: FileHandle, _ range: Range<UInt64>) throws(DiskError) {
        var found = try self.file(file, .deallocate)
        let kept = UInt64(found.bytes.count)
        let gone = Int(min(range.lowerBound, kept))..<Int(min(range.upperBound, kept))
        found.bytes.replaceSubrange(gone, with: repeatElement(0, count: gone.count))
        files[name(file)] = found
    }

    mutating func zero(_ file: FileHandle, _ range: Range<UInt64>) throws(DiskError) {
        try deallocate(file, range)
    }

    func sync(_ file: FileHandle) {}

    mutating func rename(_ name: String, to other: String) throws(DiskError) {
        guard let found = files.removeValue(forKey: name) else {
            throw DiskError(.rename, name, .missing)
        }
        files[other] = found
        for at in handles.indices where handles[at] == name { handles[at] = other }
    }

    mutating func remove(_ name: String) throws(DiskError) {
        guard files.removeValue(forKey: name) != nil else {
            throw DiskError(.remove, name, .missing)
        }
    }

    func syncDirectory() {}

    private func name(_ file: FileHandle) -> String { handles[file.rawValue] }

    private func file(_ file: FileHandle, _ deed: DiskError.Deed) throws(DiskError) -> File {
        guard let found = files[name(file)] else { throw DiskError(deed, name(file), .missing) }
        return found
    }
}
