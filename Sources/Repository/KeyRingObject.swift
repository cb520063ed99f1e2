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
    package let digest: Digest
    /// All that the sealed ring is bound to.
    private let head: [UInt8]
    private let sealed: [UInt8]

    /// The ring as an object, behind the one before it, which is nil for the first. `key` is the one that is wrapped,
    /// drawn for this object alone as `random` is.
    ///
    /// nil unless there are two wrappings, of different names and bytes; with more than are kept; and for a ring that
    /// lacks what the one before it holds. Whoever calls has to take each wrapping apart again before the object is
    /// stored, and to see that they belong to different keys: a ring that nobody can open is a lost tenant.
    package static func encode(
        _ ring: KeyRing, after former: KnownRing?, wrappings: [Wrapping], key: Secret, random: Salt
    ) -> [UInt8]? {
        guard (wrappingsMin...wrappingsMax).contains(wrappings.count),
            areDistinct(wrappings), former.map({ $0.number < numberMax }) ?? true,
            former.map({ ring.holdsAll(of: $0.ring) }) ?? true
        else { return nil }
        var bytes: [UInt8] = []
        bytes.append(littleEndian: magic)
        bytes.append(littleEndian: version)
        bytes.append(littleEndian: UInt32(wrappings.count))
        let (repository, tenant) = (ring.repository, ring.tenant)
        bytes.append(littleEndian: [repository.high, repository.low, tenant.high, tenant.low])
        bytes.append(littleEndian: (former?.number ?? 0) + 1)
        (former?.digest ?? .ofNothing).append(to: &bytes)
        var listed: [UInt8] = []
        for wrapping in wrappings { wrapping.append(to: &listed) }
        var plain = ring.plain
        bytes += key.salt(random, for: bytes + listed + plain).bytes
        bytes += listed
        let head = bytes
        (former?.ring ?? ring).vouch(for: head + plain).append(to: &plain)
        sealKey(key, head).seal(plain.span, number: 0, binding: head, onto: &bytes)
        bytes.append(littleEndian: Checksum.crc32c(bytes))
        return bytes.count <= byteCountMax ? bytes : nil
    }

    private static func areDistinct(_ wrappings: [Wrapping]) -> Bool {
        Set(wrappings.map(\.name)).count == wrappings.count
            && Set(wrappings.map(\.bytes)).count == wrappings.count
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
            try reader.skip(Salt.byteCount)
            wrappings = try (0..<count).map { _ in try Wrapping(parsing: &reader) }
            guard Self.areDistinct(wrappings) else {
                throw ObjectDamage.contents("two of its wrappings are one")
            }
            head = Array(bytes[..<reader.offset])
            sealed = Array(bytes[reader.offset..<end])
            digest = Digest(of: bytes.span)
        } catch let damage as ObjectDamage {
            throw damage
        } catch {
            throw .contents("its list of wrappings is cut off")
        }
    }

    /// The ring, with what one of the wrappings gave.
    ///
    /// Anybody can wrap a ring of his own for a key whose public half he knows. So whoever has a ring takes as its
    /// successor only what names it, was made by one who had it, and holds all that it holds. Without one, at
    /// a first contact, all rests on where the object came from.
    package func ring(_ key: Secret, after former: KnownRing?) throws(ObjectDamage) -> KnownRing {
        guard let plain = Self.sealKey(key, head).open(sealed.span, number: 0, binding: head)
        else { throw .piece(0, offset: head.count) }
        let end = plain.count - Digest.byteCount
        guard end >= 0,
            let ring = (try? KeyRing(plain: plain[..<end], repository, tenant)) ?? nil
        else { throw .contents("it holds what no ring holds") }
        let words = head + plain[..<end]
        let vouched = Digest(plain.span.extracting(end...))
        if let former {
            guard number == former.number + 1, predecessor == former.digest,
                vouched == former.ring.vouch(for: words), ring.holdsAll(of: former.ring)
            else { throw .noSuccessor }
        } else if number == 1 {
            guard predecessor == .ofNothing, vouched == ring.vouch(for: words) else {
                throw .noSuccessor
            }
        }
        return KnownRing(ring: ring, number: number, digest: digest)
    }

    /// All that stands in the clear goes into the key: nothing opens behind an altered head.
    private static func sealKey(_ key: Secret, _ head: [UInt8]) -> SealKey {
        let digest = Digest(of: head.span)
        var salt: [UInt8] = []
        digest.append(to: &salt)
        return SealKey(key.derived(salt: salt, for: Array("holdfast ring 1".utf8)))
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
        append(succession)
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
        guard idCount <= Self.turnsMax, count <= Self.turnsMax,
            let succession = Secret(try reader.take(Secret.byteCount))
        else { return nil }
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
        self.init(
            repository: repository, tenant: tenant, idSecrets: idSecrets, succession: succession,
            turns: turns)
    }
}
