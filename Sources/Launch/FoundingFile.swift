internal import Mesh
internal import Raft
internal import Record
internal import Store

/// What the mesh was before its first entry: who voted, and what was decided. Written at a founder's
/// first start, because the cluster file goes with the members, and the beginning of the log does not.
struct FoundingFile {
    static let name = "founding"
    static let bytesMax = 64 << 10
    private static let version: UInt8 = 1

    struct Damaged: DataAtFault {
        let path: String
        var description: String {
            "\(path) can't be read: it says who voted when the mesh was founded. "
                + DataAtFaultAdvice.leaveOff
        }
    }

    private let file: StateFile
    private let path: String

    init(in directory: String) {
        file = StateFile(Self.name, in: directory)
        path = "\(directory)/\(Self.name)"
    }

    /// nil where this node never founded a mesh.
    func read() throws -> Base? {
        guard let bytes = try file.read(bytesMax: Self.bytesMax) else { return nil }
        var reader = ByteReader(bytes)
        guard let version = try? reader.u8(), version == Self.version,
            let checksum = try? reader.u32(), let contents = try? reader.take(reader.remaining),
            Checksum.crc32c(contents) == checksum
        else { throw Damaged(path: path) }
        let base = Base(position: .zero, contents: contents)
        guard (try? base.parsed()) != nil else { throw Damaged(path: path) }
        return base
    }

    /// Version u8, CRC32C of the rest u32, the base's contents.
    func write(_ base: Base) throws(StateFile.Failed) {
        var bytes = [Self.version]
        bytes.append(littleEndian: Checksum.crc32c(base.contents))
        try file.replace(bytes + base.contents)
    }
}

/// A mesh can't begin so.
struct TwoWitnesses: SettingsAtFault {
    let file: String
    var description: String {
        "\(file) names two witnesses, and a mesh begins with at most one; a node that joins a mesh "
            + "that runs needs `founding: false`"
    }
}
