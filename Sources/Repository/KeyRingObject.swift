internal import Mesh
internal import Record
package import Sealing

/// A tenant's ring as it lies in the repository: who can open it is in the clear, what it holds is sealed.
///
/// Each change makes a new one that names its predecessor; docs/formats/repository.md, "Key rings".
package struct KeyRingObject: Sendable {
    static let magic: UInt64 = 0x3153_5945_4b44_4c48  // "HLDKEYS1"
    static let version: UInt32 = 1
    package static let wrappingsMin = 2
    package static let wrappingsMax = 16
    static let byteCountMax = 1 << 20

    package let repository: RepositoryID
    package let tenant: TenantID
    /// Counts the tenant's rings, from 1.
    package let number: UInt64
    /// The digest of the ring before this one; of the first, of nothing.
    package let predecessor: Digest
    package let wrappings: [Wrapping]
    private let salt: [UInt8]
    /// All that the sealed ring is bound to.
    private let head: [UInt8]
    private let sealed: [UInt8]

    /// nil unless there are two wrappings, or with more than are kept. `key` is the one that is wrapped, drawn for
    /// this one object as `salt` is.
    package static func encode(
        _ ring: KeyRing, number: UInt64, predecessor: Digest, wrappings: [Wrapping], key: Secret,
        salt: Salt
    ) -> [UInt8]? {
        guard (wrappingsMin...wrappingsMax).contains(wrappings.count) else { return nil }
        var bytes: [UInt8] = []
        bytes.append(littleEndian: magic)
        bytes.append(littleEndian: version)
        bytes.append(littleEndian: UInt32(wrappings.count))
        let (repository, tenant) = (ring.repository, ring.tenant)
        bytes.append(littleEndian: [repository.high, repository.low, tenant.high, tenant.low])
        bytes.append(littleEndian: number)
        predecessor.append(to: &bytes)
        bytes += salt.bytes
        for wrapping in wrappings {
            bytes.append(wrapping.kind.rawValue)
            bytes.append(UInt8(wrapping.name.utf8.count))
            bytes += wrapping.name.utf8
            bytes.append(littleEndian: UInt16(wrapping.bytes.count))
            bytes += wrapping.bytes
        }
        let head = bytes
        let plain = Self.plain(ring)
        sealKey(key, salt.bytes).seal(plain.span, number: 0, binding: head, onto: &bytes)
        bytes.append(littleEndian: Checksum.crc32c(bytes))
        return bytes
    }

    /// Reads who can open it.
    package init(parsing bytes: [UInt8]) throws(ObjectDamage) {
        guard bytes.count <= Self.byteCountMax else { throw .oversized(bytes.count) }
        do {
            let end = bytes.count - 4
            guard end >= 0 else { throw ObjectDamage.truncated(wanted: 4, have: bytes.count) }
            guard bytes.load(at: end, count: 4) == UInt64(Checksum.crc32c(bytes, in: 0..<end))
            else { throw ObjectDamage.end }
            var reader = ByteReader(bytes, in: 0..<end)
            guard try reader.u64() == Self.magic else { throw ObjectDamage.header }
            let version = try reader.u32()
            guard version == Self.version else { throw ObjectDamage.unknownVersion(version) }
            let count = Int(try reader.u32())
            guard (Self.wrappingsMin...Self.wrappingsMax).contains(count) else {
                throw ObjectDamage.contents("it counts \(count) wrappings")
            }
            repository = RepositoryID(high: try reader.u64(), low: try reader.u64())
            tenant = TenantID(high: try reader.u64(), low: try reader.u64())
            number = try reader.u64()
            predecessor = try Digest(parsing: &reader)
            salt = try reader.take(Salt.byteCount)
            wrappings = try (0..<count).map { _ in try Self.wrapping(&reader) }
            head = Array(bytes[..<reader.offset])
            sealed = Array(bytes[reader.offset..<end])
        } catch let damage as ObjectDamage {
            throw damage
        } catch {
            throw .contents("its list of wrappings is cut off")
        }
    }

    private static func wrapping(_ reader: inout ByteReader) throws -> Wrapping {
        let kind = Wrapping.Kind(rawValue: try reader.u8())
        let name = String(validating: try reader.take(Int(try reader.u8())), as: UTF8.self)
        let bytes = try reader.take(Int(try reader.u16()))
        guard let kind, let name, let wrapping = Wrapping(kind, name: name, bytes: bytes) else {
            throw ObjectDamage.contents("one of its wrappings is of no known kind or length")
        }
        return wrapping
    }

    /// The ring, with what one of the wrappings gave.
    package func ring(_ key: Secret) throws(ObjectDamage) -> KeyRing {
        guard
            let plain = Self.sealKey(key, salt).open(sealed.span, number: 0, binding: head)
        else { throw .piece(0, offset: head.count) }
        guard let ring = try? read(plain) else {
            throw .contents("it holds what no ring holds")
        }
        return ring
    }

    private static func sealKey(_ key: Secret, _ salt: [UInt8]) -> SealKey {
        SealKey(key.derived(salt: salt, for: Array("holdfast ring 1".utf8)))
    }

    private static func plain(_ ring: KeyRing) -> [UInt8] {
        var bytes: [UInt8] = []
        func append(_ secret: Secret) {
            secret.withBytes { secret in for at in secret.indices { bytes.append(secret[at]) } }
        }
        bytes.append(littleEndian: UInt32(ring.turns.count))
        append(ring.idSecret)
        for turn in ring.turns {
            bytes.append(name: turn.since)
            append(turn.secret)
        }
        return bytes
    }

    private func read(_ plain: [UInt8]) throws -> KeyRing? {
        var reader = ByteReader(plain)
        let count = Int(try reader.u32())
        guard (1...KeyRing.turnsMax).contains(count),
            let idSecret = Secret(try reader.take(Secret.byteCount))
        else { return nil }
        var secrets: [(since: WallTime, secret: Secret)] = []
        for _ in 0..<count {
            let since: WallTime = try reader.name()
            guard let secret = Secret(try reader.take(Secret.byteCount)) else { return nil }
            secrets.append((since, secret))
        }
        guard reader.remaining == 0 else { return nil }
        return KeyRing(
            repository: repository, tenant: tenant, idSecret: idSecret, secrets: secrets)
    }
}
