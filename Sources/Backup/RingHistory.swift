internal import Mesh
package import Repository
internal import Sealing

/// A tenant's key rings as they follow each other. Each names the digest of the one before it, and is vouched for by what that one
/// holds: so who has opened one of them tells the others from what somebody else put under their names.
package struct RingHistory: Sendable {
    package let tenant: TenantID
    package let newest: KnownRing
    fileprivate let digests: [UInt64: Digest]

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
    /// first. What is in the way is passed over, for it may be anybody's.
    package func history(
        from known: KnownRing, by holder: KeyHolder
    ) -> RingHistory {
        var newest = known
        var digests = [known.number: known.digest]
        while let next = successor(of: newest, by: holder) {
            newest = next
            digests[next.number] = next.digest
        }
        for number in (1...known.number).reversed() {
            guard let digest = digests[number] else { break }
            guard let object = copies(of: number).first(where: { $0.digest == digest })
            else { break }
            if number > 1 { digests[number - 1] = object.predecessor }
        }
        return RingHistory(tenant: tenant, newest: newest, digests: digests)
    }

    private func successor(
        of former: KnownRing, by holder: KeyHolder
    ) -> KnownRing? {
        for object in copies(of: former.number + 1) {
            for wrapping in object.wrappings {
                guard case .success(let key) = holder.unwrap(wrapping, of: owner),
                    let next = try? object.ring(key, after: former)
                else { continue }
                return next
            }
        }
        return nil
    }

    /// What lies under that name in each of the stores that answer, as far as it is a ring.
    private func copies(of number: UInt64) -> [KeyRingObject] {
        store.copies.compactMap { copy in
            guard let bytes = try? copy.store.get(name(number), nil) else { return nil }
            return try? KeyRingObject(parsing: bytes)
        }
    }
}
