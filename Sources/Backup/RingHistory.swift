internal import Mesh
package import Repository
internal import Sealing

/// A tenant's key rings as they follow each other. Each names the digest of the one before it, and is vouched for by what that one
/// holds: so who has opened one of them tells the others from what somebody else put under their names.
package struct RingHistory: Sendable {
    package let tenant: TenantID
    package let newest: KnownRing
    /// Why it is not known whether another one follows; nil where none does.
    package let unknown: String?
    let digests: [UInt64: Digest]

    /// Whether bytes say of themselves that they follow the newest ring that is known: they may be closed to another key than the
    /// one at hand, or be anybody's.
    package func mayFollow(_ bytes: [UInt8]) -> Bool {
        guard let object = try? KeyRingObject(parsing: bytes) else { return false }
        return object.follows(newest)
    }

    /// Of a number below the lowest one that is known nothing can be told.
    func confirm(_ number: UInt64, _ digest: Digest) throws(ObjectDamage) {
        guard number <= newest.number else {
            throw .contents("no key ring that is known vouches for it")
        }
        guard digests[number] ?? digest == digest else {
            throw .contents("the key ring behind it names another one")
        }
    }
}

extension KeyRingObject {
    fileprivate func follows(_ ring: KnownRing) -> Bool {
        number == ring.number + 1 && predecessor == ring.digest
    }
}

extension Rings {
    private enum Next {
        case ring(KnownRing)
        case none
        case unknown(String)
    }

    /// Goes on from a ring that was opened: to later ones, as long as a copy of the next one is vouched for, and down to the
    /// first. What is in the way is passed over, for it may be anybody's; what can't be read, or says that it follows and opens
    /// by no key at hand, is told as unknown.
    package func history(from known: KnownRing, by holder: KeyHolder) -> RingHistory {
        var (newest, unknown): (KnownRing, String?) = (known, nil)
        var digests = [known.number: known.digest]
        climb: while true {
            switch successor(of: newest, by: holder) {
            case .ring(let next):
                newest = next
                digests[next.number] = next.digest
            case .unknown(let words):
                unknown = words
                break climb
            case .none: break climb
            }
        }
        for number in (1...known.number).reversed() {
            let found = copies(of: number).found.first { $0.digest == digests[number] }
            guard let found else { break }
            if number > 1 { digests[number - 1] = found.predecessor }
        }
        return RingHistory(tenant: tenant, newest: newest, unknown: unknown, digests: digests)
    }

    private func successor(of former: KnownRing, by holder: KeyHolder) -> Next {
        let name = name(former.number + 1)
        let (found, failure) = copies(of: former.number + 1)
        var refusal = failure.map { "\($0)" }
        for object in found where object.follows(former) {
            for wrapping in object.wrappings {
                switch holder.unwrap(wrapping, of: owner) {
                case .success(let key):
                    if let next = try? object.ring(key, after: former) { return .ring(next) }
                case .failure(let why):
                    refusal =
                        refusal
                        ?? "\(name) says that it follows the newest key ring that is known, and does not open: \(why)"
                }
            }
        }
        return refusal.map(Next.unknown) ?? .none
    }

    /// What lies under that name in each of the stores that answer, as far as it is a ring; and why one of them could not be read.
    private func copies(
        of number: UInt64
    ) -> (found: [KeyRingObject], failure: ObjectStoreFailure?) {
        var (found, failure): ([KeyRingObject], ObjectStoreFailure?) = ([], nil)
        for copy in store.copies {
            do throws(ObjectStoreFailure) {
                let bytes = try copy.store.get(name(number), nil)
                if let object = try? KeyRingObject(parsing: bytes) { found.append(object) }
            } catch {
                // A store that is away as a whole is told by who reads all.
                if error.cause == .missing || (try? copy.store.get(Layout.repository, nil)) == nil {
                    continue
                }
                failure = error
            }
        }
        return (found, failure)
    }
}
