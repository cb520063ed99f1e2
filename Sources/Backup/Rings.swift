package import Repository
package import Sealing

/// A tenant's key rings, as they lie in a store.
package struct Rings: Sendable {
    package let store: any ObjectStore
    let layout: Layout
    package let repository: RepositoryID
    package var tenant: TenantID { layout.tenant }
    var owner: RingOwner { RingOwner(repository: repository, tenant: tenant) }

    package init(_ store: any ObjectStore, repository: RepositoryID, tenant: TenantID) {
        (self.store, self.repository) = (store, repository)
        layout = Layout(tenant)
    }

    /// The newest one, at a first contact: all rests on where the store came from.
    package func newest(openedBy holder: KeyHolder) throws(BackupFailure) -> KnownRing {
        let numbers = try numbers()
        return try open(object(numbers[numbers.count - 1]), by: holder, after: nil)
    }

    /// The newest one, by who read `known` before: each that came after it has to follow the one before it, or is
    /// refused, as is a store that is behind it.
    package func newest(
        openedBy holder: KeyHolder, since known: KnownRing
    ) throws(BackupFailure) -> KnownRing {
        let numbers = try numbers()
        let newest = numbers[numbers.count - 1]
        guard newest >= known.number else {
            throw .key(
                "\(name(newest)) is the newest key ring there, ring \(known.number) was read before: "
                    + "the store is an older copy, or rings were deleted")
        }
        if newest == known.number { try confirm(known) }
        return try follow(known, to: numbers, by: holder)
    }

    /// The newest one, where the digest of one of them came another way than through the store: at a first contact, or
    /// after an incident.
    package func newest(
        openedBy holder: KeyHolder, pinned digest: Digest
    ) throws(BackupFailure) -> KnownRing {
        for number in try numbers().reversed() where try has(digest, number) {
            let pinned = try open(object(number), by: holder, after: nil)
            return try newest(openedBy: holder, since: pinned)
        }
        throw .key("no key ring of tenant \(tenant) has the digest \(digest)")
    }

    /// What the ring of that number says of who can open it.
    package func wrappings(_ number: UInt64) throws(BackupFailure) -> [Wrapping] {
        try object(number).wrappings
    }

    /// What the key is called that `holder` opens that ring by.
    package func keyName(
        of holder: KeyHolder, in number: UInt64
    ) throws(BackupFailure) -> String? {
        try object(number).wrappings.first { wrapping in
            if case .success = holder.unwrap(wrapping, of: owner) { true } else { false }
        }?.name
    }

    /// The numbers of all, in their order; never none.
    func numbers() throws(BackupFailure) -> [UInt64] {
        try Vault.confirm(repository, in: store)
        let numbers = try listed()
        guard !numbers.isEmpty else {
            throw .key(
                "there is no key ring of tenant \(tenant): is the key of another one, or was the tenant "
                    + "erased?")
        }
        return numbers
    }

    func listed() throws(BackupFailure) -> [UInt64] {
        let objects: [ObjectListing.Object]
        do throws(ObjectStoreFailure) { objects = try store.list(layout.rings).objects } catch {
            throw .store(error)
        }
        return objects.compactMap { Layout.number($0.name) }.sorted()
    }

    func digest(_ number: UInt64) throws(BackupFailure) -> Digest {
        try store.reading(name(number)) { bytes throws(ObjectDamage) in
            _ = try parsed(bytes, number)
            return Digest(of: bytes.span)
        }
    }

    /// Nothing is ever written over: what has its number is that ring.
    private func confirm(_ known: KnownRing) throws(BackupFailure) {
        guard try has(known.digest, known.number) else {
            throw .key(
                "\(name(known.number)) is not the key ring of that number that was read before")
        }
    }

    /// Whether a copy of the ring of that number has that digest.
    private func has(_ digest: Digest, _ number: UInt64) throws(BackupFailure) -> Bool {
        do throws(BackupFailure) {
            return try store.reading(name(number)) { bytes throws(ObjectDamage) in
                guard Digest(of: bytes.span) == digest else { throw .contents("it is another one") }
                return true
            }
        } catch {
            guard case .damaged = error else { throw error }
            return false
        }
    }

    private func follow(
        _ known: KnownRing, to numbers: [UInt64], by holder: KeyHolder
    ) throws(BackupFailure) -> KnownRing {
        var former = known
        for number in numbers where number > known.number {
            guard number == former.number + 1 else {
                throw .key(
                    "\(name(former.number + 1)) is missing: nothing vouches for the key rings after it"
                )
            }
            former = try open(object(number), by: holder, after: former)
        }
        return former
    }
}

extension Rings {
    func name(_ number: UInt64) -> ObjectName { layout.ring(number) }

    func object(_ number: UInt64) throws(BackupFailure) -> KeyRingObject {
        try store.reading(name(number)) { bytes throws(ObjectDamage) in try parsed(bytes, number) }
    }

    private func parsed(_ bytes: [UInt8], _ number: UInt64) throws(ObjectDamage) -> KeyRingObject {
        let object = try KeyRingObject(parsing: bytes)
        try confirm(object, number)
        return object
    }

    private func confirm(_ object: KeyRingObject, _ number: UInt64) throws(ObjectDamage) {
        guard object.repository == repository else { throw .anotherRepository(object.repository) }
        guard object.tenant == tenant else { throw .anotherTenant(object.tenant) }
        guard object.number == number else { throw .contents("it is key ring \(object.number)") }
    }

    private func open(
        _ object: KeyRingObject, by holder: KeyHolder, after former: KnownRing?
    ) throws(BackupFailure) -> KnownRing {
        let key = try key(of: object, by: holder)
        do throws(ObjectDamage) { return try object.ring(key, after: former) } catch {
            throw .damaged(name(object.number), error)
        }
    }

    /// From the one wrapping that `holder` opens. Where none says anything but that the key is another one, it is.
    private func key(
        of object: KeyRingObject, by holder: KeyHolder
    ) throws(BackupFailure) -> Secret {
        let name = name(object.number)
        var damaged: Wrapping?
        var refusal: UnwrapRefused?
        for wrapping in object.wrappings {
            switch holder.unwrap(wrapping, of: owner) {
            case .success(let key): return key
            case .failure(.wrongKey): continue
            case .failure(.damaged): damaged = wrapping
            // A service may be asked in vain for what another one of its kind has wrapped.
            case .failure(let refused): refusal = refused
            }
        }
        if let refusal { throw .key("\(name): \(refusal)") }
        if let damaged {
            throw .damaged(name, .contents("what \(damaged.words) wraps is damaged"))
        }
        let all = object.wrappings.map(\.words).joined(separator: ", ")
        throw .key(
            "wrong key: the \(holder.kind) that was given is none of those that open \(name): \(all)"
        )
    }
}

extension Wrapping {
    /// `key file "spare"`: the name may be anybody's, and goes to a terminal.
    var words: String { "\(kind) \(name.debugDescription)" }

    /// Whom it was closed to, where it is a box.
    var recipient: BoxPublicKey? { kind == .box ? BoxWrap.recipient(of: bytes) : nil }
}
