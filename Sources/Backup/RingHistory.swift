internal import Mesh
package import Repository
internal import Sealing

/// A tenant's key rings as they follow each other. Each names the digest of the one before it, and is vouched for by what that one
/// holds: so who has opened one of them tells the others from what somebody else put under their names.
package struct RingHistory: Sendable {
    package let tenant: TenantID
    package let newest: KnownRing
    fileprivate let digests: [UInt64: Digest]

    /// Of which nothing but itself is known.
    static func alone(_ ring: KnownRing, of tenant: TenantID) -> RingHistory {
        RingHistory(tenant: tenant, newest: ring, digests: [ring.number: ring.digest])
    }

    /// Whether it says of itself that it follows the newest one that is known: it may be closed to another key than the one at hand.
    func mayFollow(_ bytes: [UInt8]) -> Bool {
        guard let object = try? KeyRingObject(parsing: bytes) else { return false }
        return object.number == newest.number + 1 && object.predecessor == newest.digest
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

extension Rings {
    /// Goes on from a ring that was opened: to later ones, as long as a copy of the next one is vouched for, and down to the
    /// first. What is in the way is passed over, for it may be anybody's; that a store, or who keeps a key, does not answer is no
    /// reason to take a ring for nobody's.
    package func history(
        from known: KnownRing, by holder: KeyHolder
    ) throws(BackupFailure) -> RingHistory {
        var newest = known
        var digests = [known.number: known.digest]
        while let next = try successor(of: newest, by: holder) {
            newest = next
            digests[next.number] = next.digest
        }
        for number in (1...known.number).reversed() {
            guard let digest = digests[number] else { break }
            guard let object = try copies(of: number).first(where: { $0.digest == digest })
            else { break }
            if number > 1 { digests[number - 1] = object.predecessor }
        }
        return RingHistory(tenant: tenant, newest: newest, digests: digests)
    }

    private func successor(
        of former: KnownRing, by holder: KeyHolder
    ) throws(BackupFailure) -> KnownRing? {
        for object in try copies(of: former.number + 1) {
            if let next = try opened(object, after: former, by: holder) { return next }
        }
        return nil
    }

    /// Whether bytes are the ring behind that one.
    package func isSuccessor(
        _ bytes: [UInt8], of former: KnownRing, by holder: KeyHolder
    ) -> Bool {
        guard let object = try? KeyRingObject(parsing: bytes) else { return false }
        return ((try? opened(object, after: former, by: holder)) ?? nil) != nil
    }

    private func opened(
        _ object: KeyRingObject, after former: KnownRing, by holder: KeyHolder
    ) throws(BackupFailure) -> KnownRing? {
        guard object.number == former.number + 1, object.predecessor == former.digest else {
            return nil
        }
        for wrapping in object.wrappings {
            switch holder.unwrap(wrapping, of: owner) {
            case .success(let key):
                if let next = try? object.ring(key, after: former) { return next }
            case .failure(.wrongKey), .failure(.damaged): continue
            case .failure(let refused): throw .key("\(name(object.number)): \(refused)")
            }
        }
        return nil
    }

    /// What lies under that name in each of the stores that answer, as far as it is a ring.
    private func copies(of number: UInt64) throws(BackupFailure) -> [KeyRingObject] {
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
        if found.isEmpty, let failure { throw .store(failure) }
        return found
    }
}
