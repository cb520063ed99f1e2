internal import Mesh
internal import Record

/// What a store holds that is a repository: which one it is, in the clear.
package struct RepositoryObject: Hashable, Sendable {
    private static let magic: UInt64 = 0x314f_5045_5244_4c48  // "HLDREPO1"
    private static let version: UInt32 = 1

    package let id: RepositoryID
    package init(id: RepositoryID) { self.id = id }

    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: Self.magic)
        bytes.append(littleEndian: Self.version)
        bytes.append(littleEndian: [id.high, id.low])
        bytes.append(littleEndian: Checksum.crc32c(bytes))
        return bytes
    }

    package init(parsing bytes: [UInt8]) throws(ObjectDamage) {
        let wanted = 32
        guard bytes.count >= wanted else { throw .truncated(wanted: wanted, have: bytes.count) }
        guard bytes.count == wanted, bytes.load(at: 0, count: 8) == Self.magic,
            bytes.load(at: 28, count: 4) == UInt64(Checksum.crc32c(bytes, in: 0..<28))
        else { throw .header }
        let version = UInt32(bytes.load(at: 8, count: 4))
        guard version == Self.version else { throw .unknownVersion(version) }
        id = RepositoryID(
            high: bytes.load(at: 12, count: 8), low: bytes.load(at: 20, count: 8))
    }
}
