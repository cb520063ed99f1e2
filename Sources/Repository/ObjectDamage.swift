package import Sealing

/// Why an object's bytes are not what was written. Its name says which object; nothing here holds a
/// byte of a key or of what was sealed.
package enum ObjectDamage: Error, Hashable, Sendable, CustomStringConvertible {
    /// It was cut off, or not written to its end.
    case truncated(wanted: Int, have: Int)
    case oversized(Int)
    /// What it begins with is no header, or a damaged one.
    case header
    case unknownVersion(UInt32)
    case anotherKind(SealedHeader.Kind, wanted: SealedHeader.Kind)
    case anotherRepository(RepositoryID)
    case anotherTenant(TenantID)
    /// There is no key of that epoch here.
    case anotherEpoch(KeyEpoch, have: KeyEpoch)
    /// It was sealed by another key of the same epoch.
    case wrongKey(KeyEpoch)
    /// Its end is not as it was written.
    case end
    /// The piece of that number is not as it was written.
    case piece(UInt32, offset: Int)
    /// What was sealed is no such thing: whoever wrote it had the key, and a fault.
    case contents(String)
    /// It is sealed as it was written, and is not what its id says.
    case anotherID(Digest)
    /// It was not made by whoever had the ring before it.
    case noSuccessor

    package var description: String {
        switch self {
        case .truncated(let wanted, let have): "it has \(have) bytes of at least \(wanted)"
        case .oversized(let count): "it has \(count) bytes: nothing so large was ever written"
        case .header: "its header is damaged"
        case .unknownVersion(let version):
            "its version \(version) is not known here; version \(SealedHeader.version) is"
        case .anotherKind(let kind, let wanted): "it is of kind \(kind), not \(wanted)"
        case .anotherRepository(let id): "it belongs to repository \(id)"
        case .anotherTenant(let id): "it belongs to tenant \(id)"
        case .anotherEpoch(let epoch, let have):
            "it is sealed by the key of epoch \(epoch), this one is of \(have)"
        case .wrongKey(let epoch):
            "the key of epoch \(epoch) is the wrong one; the object may well be whole"
        case .end: "its end is damaged, or not its own"
        case .piece(let number, let offset):
            "piece \(number) at byte \(offset) is damaged, or not its own"
        case .contents(let why): why
        case .anotherID(let id): "what it holds as \(id) is something else"
        case .noSuccessor: "whoever made it did not have the ring before it: it may be forged"
        }
    }
}

extension ObjectDamage {
    /// What `read` gives. Whatever ends too early for it is `words`.
    static func reading<Value>(
        orCutOff words: String, _ read: () throws -> Value
    ) throws(ObjectDamage) -> Value {
        do { return try read() } catch let damage as ObjectDamage { throw damage } catch {
            throw .contents(words)
        }
    }
}
