internal import Mesh
internal import Record
package import Sealing

/// What an object is, whose, and by which key it is sealed: the only part of it that is not.
///
/// docs/formats/repository.md, "Every object".
package struct SealedHeader: Hashable, Sendable {
    package static let byteCount = 96
    static let version: UInt32 = 1

    package enum Kind: UInt64, Sendable, CustomStringConvertible {
        case pack = 0x314b_4341_5044_4c48  // "HLDPACK1"
        case index = 0x3158_444e_4944_4c48  // "HLDINDX1"
        case manifest = 0x314e_414d_5244_4c48  // "HLDRMAN1"
        case stretch = 0x3143_5254_5344_4c48  // "HLDSTRC1"
        case hold = 0x3144_4c4f_4844_4c48  // "HLDHOLD1"
        case session = 0x3153_5345_5344_4c48  // "HLDSESS1"
        case collection = 0x314c_4c4f_4344_4c48  // "HLDCOLL1"

        package var description: String {
            switch self {
            case .pack: "pack"
            case .index: "index"
            case .manifest: "manifest"
            case .stretch: "stretch of the log"
            case .hold: "hold"
            case .session: "session"
            case .collection: "collection"
            }
        }
    }

    package let kind: Kind
    package let repository: RepositoryID
    package let tenant: TenantID
    package let epoch: KeyEpoch
    package let salt: Salt
    /// Of the epoch's key; tells a wrong key from damage.
    package let keyCheck: UInt64

    package init(
        _ kind: Kind, repository: RepositoryID, tenant: TenantID, key: EpochKey, salt: Salt
    ) {
        (self.kind, self.repository, self.tenant) = (kind, repository, tenant)
        (epoch, self.salt, keyCheck) = (key.epoch, salt, key.check)
    }

    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.append(littleEndian: kind.rawValue)
        bytes.append(littleEndian: Self.version)
        bytes.append(littleEndian: epoch.rawValue)
        bytes.append(littleEndian: [repository.high, repository.low, tenant.high, tenant.low])
        bytes += salt.bytes
        bytes.append(littleEndian: keyCheck)
        bytes.append(littleEndian: UInt32(0))
        bytes.append(littleEndian: Checksum.crc32c(bytes))
        return bytes
    }

    /// Reads the header that `bytes` begin with.
    package init(parsing bytes: [UInt8]) throws(ObjectDamage) {
        do {
            var reader = ByteReader(bytes)
            let kind = Kind(rawValue: try reader.u64())
            let version = try reader.u32()
            epoch = KeyEpoch(try reader.u32())
            repository = RepositoryID(high: try reader.u64(), low: try reader.u64())
            tenant = TenantID(high: try reader.u64(), low: try reader.u64())
            let salt = Salt(try reader.take(Salt.byteCount))
            keyCheck = try reader.u64()
            let rest = try reader.u32()
            let checksum = try reader.u32()
            let end = Self.byteCount - 4
            guard Checksum.crc32c(bytes, in: 0..<end) == checksum, let kind, let salt, rest == 0
            else { throw ObjectDamage.header }
            guard version == Self.version else { throw ObjectDamage.unknownVersion(version) }
            (self.kind, self.salt) = (kind, salt)
        } catch let damage as ObjectDamage {
            throw damage
        } catch {
            throw .truncated(wanted: Self.byteCount, have: bytes.count)
        }
    }
}

/// The secret of one epoch of a tenant.
package struct EpochKey: Sendable {
    package let epoch: KeyEpoch
    /// The same for all that it sealed, and tells nothing of it.
    package let check: UInt64
    private let secret: Secret

    package init(_ epoch: KeyEpoch, _ secret: Secret) {
        (self.epoch, self.secret) = (epoch, secret)
        let check = secret.derived(salt: [], for: Array("holdfast key check 1".utf8))
        self.check = check.withBytes { bytes in
            (0..<8).reduce(0) { $0 | UInt64(bytes[$1]) << (8 * $1) }
        }
    }

    func salt(_ random: Salt, for words: [UInt8], _ checksum: UInt32 = 0) -> Salt {
        secret.salt(random, for: words, checksum)
    }

    /// The key of the one object with that header. All of the header goes into it, so that nothing
    /// opens behind an altered one.
    func key(of header: SealedHeader) -> SealKey {
        SealKey(secret.derived(salt: header.salt.bytes, for: header.encoded))
    }
}

extension Secret {
    /// A salt for what `words` tell of, which with other words would be another one: whoever draws the same
    /// random bytes for two different texts still has a key of its own for each.
    func salt(_ random: Salt, for words: [UInt8], _ checksum: UInt32 = 0) -> Salt {
        var purpose = Array("holdfast salt 1".utf8)
        Digest(of: words.span).append(to: &purpose)
        purpose.append(littleEndian: checksum)
        return Salt(derived(salt: random.bytes, for: purpose))
    }
}
