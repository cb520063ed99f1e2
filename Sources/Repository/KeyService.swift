package import Sealing

/// Whose ring it is. A service of keys is told, so that what it wrapped for one is of no use for another.
package struct RingOwner: Hashable, Sendable {
    package let repository: RepositoryID
    package let tenant: TenantID
    package init(repository: RepositoryID, tenant: TenantID) {
        (self.repository, self.tenant) = (repository, tenant)
    }
}

/// A key that somebody else keeps, who wraps and unwraps with it when asked: a KMS, or a command. Blocks until that is
/// done, or will not be.
package protocol KeyService: Sendable {
    var kind: Wrapping.Kind { get }
    /// As failures call it.
    var name: String { get }
    /// Of two that have the same key, the same, as far as one can tell here. It is shown to nobody.
    var identity: [String] { get }

    func wrap(_ secret: Secret, for owner: RingOwner) throws(UnwrapRefused) -> [UInt8]
    /// `wrongKey` where it can tell that another key wrapped this.
    func unwrap(_ bytes: [UInt8], for owner: RingOwner) throws(UnwrapRefused) -> Secret
}

/// A secret wrapped with the help of a service: what the service made of 32 bytes that were drawn for this, and a wrap
/// by these. So the ring's key is never told to it, and whatever it gives back that is not what it was given is told from
/// damage here, as with other keys.
package enum ServiceWrap {
    /// Of what a service makes of 32 bytes.
    package static let madeByteCountMax = Wrapping.bytesMax - SecretWrap.byteCount

    /// `own` and `random` are drawn for this one wrap.
    package static func wrap(
        _ secret: Secret, by service: any KeyService, for owner: RingOwner, own: Secret,
        random: Salt
    ) throws(UnwrapRefused) -> [UInt8] {
        let made = try service.wrap(own, for: owner)
        guard (1...madeByteCountMax).contains(made.count) else {
            throw .service(
                "\(service.name) made \(made.count) bytes of a key; a ring keeps 1 to "
                    + "\(madeByteCountMax)")
        }
        return made + SecretWrap.wrap(secret, by: own, random: random)
    }

    package static func unwrap(
        _ bytes: [UInt8], by service: any KeyService, for owner: RingOwner
    ) throws(UnwrapRefused) -> Secret {
        let end = bytes.count - SecretWrap.byteCount
        guard end > 0 else { throw .damaged }
        let own = try service.unwrap(Array(bytes[..<end]), for: owner)
        return try SecretWrap.unwrap(Array(bytes[end...]), by: own)
    }
}
