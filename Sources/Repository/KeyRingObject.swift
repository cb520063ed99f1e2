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
    package static let numberMax: UInt64 = 1 << 62
    package static let byteCountMax = 1 << 20

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

    /// The ring as an object. `former` is the ring before it and its object, nil for the first one; `key` is the one
    /// that is wrapped, drawn for this object alone as `random` is.
    ///
    /// nil unless there are two wrappings by different keys, or with more than are kept. Whoever calls has to take
    /// each wrapping apart again before the object is stored: a ring that nobody can open is a lost tenant.
    package static func encode(
        _ ring: KeyRing, after former: (ring: KeyRing, object: [UInt8], number: UInt64)?,
        wrappings: [Wrapping], key: Secret, random: Salt
    ) -> [UInt8]? {
        guard (wrappingsMin...wrappingsMax).contains(wrappings.count),
            Set(wrappings.map(\.name)).count == wrappings.count,
            Set(wrappings.map(\.bytes)).count == wrappings.count,
            former.map({ $0.number < numberMax }) ?? true
        else { return nil }
        var bytes: [UInt8] = []
        bytes.append(littleEndian: magic)
        bytes.append(littleEndian: version)
        bytes.append(littleEndian: UInt32(wrappings.count))
        let (repository, tenant) = (ring.repository, ring.tenant)
        bytes.append(littleEndian: [repository.high, repository.low, tenant.high, tenant.low])
        bytes.append(littleEndian: (former?.number ?? 0) + 1)
        let predecessor = former?.object ?? []
        Digest(of: predecessor.span).append(to: &bytes)
        bytes += random.bytes
        for wrapping in wrappings { wrapping.append(to: &bytes) }
        let head = bytes
        var plain = ring.plain
        (former?.ring ?? ring).succession(over: head + plain).append(to: &plain)
        sealKey(key, random.bytes).seal(plain.span, number: 0, binding: head, onto: &bytes)
        bytes.append(littleEndian: Checksum.crc32c(bytes))
        return bytes.count <= byteCountMax ? bytes : nil
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
            guard (1...Self.numberMax).contains(number) else {
                throw ObjectDamage.contents("no ring has number \(number)")
            }
            predecessor = try Digest(parsing: &reader)
            salt = try reader.take(Salt.byteCount)
            wrappings = try (0..<count).map { _ in try Wrapping(parsing: &reader) }
            head = Array(bytes[..<reader.offset])
            sealed = Array(bytes[reader.offset..<end])
        } catch let damage as ObjectDamage {
            throw damage
        } catch {
            throw .contents("its list of wrappings is cut off")
        }
    }

    /// The ring, with what one of the wrappings gave.
    ///
    /// Anybody can wrap a ring of his own for a key whose public half he knows. So whoever has a ring takes as its
    /// successor only what names it and was made by one who had it: `former`. Without one, at a first contact, all
    /// rests on where the object came from.
    package func ring(
        _ key: Secret, after former: (ring: KeyRing, object: [UInt8])?
    ) throws(ObjectDamage) -> KeyRing {
        guard let plain = Self.sealKey(key, salt).open(sealed.span, number: 0, binding: head)
        else { throw .piece(0, offset: head.count) }
        let end = plain.count - Digest.byteCount
        guard end >= 0,
            let ring = (try? KeyRing(plain: plain[..<end], repository, tenant)) ?? nil
        else { throw .contents("it holds what no ring holds") }
        if let former {
            let succession = former.ring.succession(over: head + plain[..<end])
            guard Digest(of: former.object.span) == predecessor,
                Digest(plain.span.extracting(end...)) == succession
            else { throw .noSuccessor }
        }
        return ring
    }

    private static func sealKey(_ key: Secret, _ salt: [UInt8]) -> SealKey {
        SealKey(key.derived(salt: salt, for: Array("holdfast ring 1".utf8)))
    }
}

extension KeyRing {
    fileprivate var plain: [UInt8] {
        var bytes: [UInt8] = []
        func append(_ secret: Secret) {
            secret.withBytes { secret in for at in secret.indices { bytes.append(secret[at]) } }
        }
        bytes.append(littleEndian: UInt32(idSecrets.count))
        bytes.append(littleEndian: UInt32(turns.count))
        for secret in idSecrets { append(secret) }
        for turn in turns {
            bytes.append(name: turn.since)
            bytes.append(littleEndian: UInt32(turn.idSecret))
            append(turn.secret)
        }
        return bytes
    }

    fileprivate init?(
        plain: ArraySlice<UInt8>, _ repository: RepositoryID, _ tenant: TenantID
    ) throws {
        var reader = ByteReader(Array(plain))
        let (idCount, count) = (Int(try reader.u32()), Int(try reader.u32()))
        guard idCount <= Self.turnsMax, count <= Self.turnsMax else { return nil }
        let idSecrets = try (0..<idCount).compactMap { _ in
            Secret(try reader.take(Secret.byteCount))
        }
        var turns: [(since: WallTime, idSecret: Int, secret: Secret)] = []
        for _ in 0..<count {
            let since: WallTime = try reader.name()
            let idSecret = Int(try reader.u32())
            guard let secret = Secret(try reader.take(Secret.byteCount)) else { return nil }
            turns.append((since, idSecret, secret))
        }
        guard reader.remaining == 0 else { return nil }
        self.init(repository: repository, tenant: tenant, idSecrets: idSecrets, turns: turns)
    }
}
