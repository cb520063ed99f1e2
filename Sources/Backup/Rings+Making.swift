package import Mesh
package import Repository
internal import Sealing

extension Rings {
    /// Makes the first ring of a new tenant. It was opened by each of `holders` before it was stored.
    package func found(
        for holders: [NamedHolder], at time: WallTime,
        using chance: inout some RandomNumberGenerator
    ) throws(BackupFailure) -> KnownRing {
        let ring = KeyRing(
            repository: repository, tenant: tenant, idSecret: .drawn(by: &chance),
            succession: .drawn(by: &chance), first: .drawn(by: &chance), at: time)
        return try put(ring, after: nil, for: holders, using: &chance)
    }

    /// Rotates: what is written from now on is sealed by another key. The ring's own key is another one too, so all who
    /// shall open it have to be there: `holders` has a key to each wrapping of `former`, but for boxes, which are closed
    /// again to whom they were, and for those of the names that are dropped; `adding` are new ones.
    ///
    /// `renewingIDs` is for after an incident: what a thief of the old ring could name and vouch for ends with it, and the
    /// next backup stores everything anew.
    package func append(
        after former: KnownRing, for holders: [KeyHolder], adding: [NamedHolder] = [],
        dropping names: Set<String> = [], renewingIDs: Bool = false, at time: WallTime,
        using chance: inout some RandomNumberGenerator
    ) throws(BackupFailure) -> KnownRing {
        let kept = try match(object(former.number).wrappings, holders, dropping: names)
        var ring = former.ring
        var renewal: KeyRing.Renewal?
        if renewingIDs {
            renewal = KeyRing.Renewal(
                idSecret: .drawn(by: &chance), succession: .drawn(by: &chance))
        }
        guard ring.rotate(to: .drawn(by: &chance), renewing: renewal, at: time) else {
            throw .key("tenant \(tenant) had \(KeyRing.turnsMax) keys: it can have no more")
        }
        return try put(ring, after: former, for: kept + adding, using: &chance)
    }

    private func match(
        _ wrappings: [Wrapping], _ holders: [KeyHolder], dropping names: Set<String>
    ) throws(BackupFailure) -> [NamedHolder] {
        if let unknown = names.subtracting(wrappings.map(\.name)).min() {
            throw .key("no key of the ring is called \(unknown.debugDescription)")
        }
        let kept = wrappings.filter { !names.contains($0.name) }
        var (found, lost): ([NamedHolder], [Wrapping]) = ([], [])
        var givenCount = 0
        for wrapping in kept {
            if let holder = try holder(of: wrapping, among: holders) {
                found.append(NamedHolder(wrapping.name, holder))
                givenCount += 1
            } else if let recipient = wrapping.recipient {
                found.append(NamedHolder(wrapping.name, .recipient(recipient)))
            } else {
                lost.append(wrapping)
            }
        }
        guard lost.isEmpty else {
            throw .key(
                "\(lost.map(\.words).joined(separator: ", ")) would open nothing any more: give all "
                    + "keys of the ring")
        }
        guard givenCount == holders.count else {
            throw .key("one of the keys that were given opens nothing that is kept")
        }
        return found
    }

    private func holder(
        of wrapping: Wrapping, among holders: [KeyHolder]
    ) throws(BackupFailure) -> KeyHolder? {
        var refusal: UnwrapRefused?
        for holder in holders {
            switch holder.unwrap(wrapping, of: owner) {
            case .success: return holder
            case .failure(.wrongKey): continue
            case .failure(let refused): refusal = refused
            }
        }
        if let refusal { throw .key("\(wrapping.words): \(refusal)") }
        return nil
    }

    /// Only if nothing has its number.
    private func put(
        _ ring: KeyRing, after former: KnownRing?, for holders: [NamedHolder],
        using chance: inout some RandomNumberGenerator
    ) throws(BackupFailure) -> KnownRing {
        let bytes = try seal(ring, after: former, for: holders, using: &chance)
        let known = try opened(bytes, by: holders, after: former)
        let name = name(known.number)
        do throws(ObjectStoreFailure) { _ = try store.put(name, bytes) } catch {
            guard error.cause == .taken else { throw .store(error) }
            throw .key(
                "\(name) is there already: somebody else made it meanwhile, and nothing was changed; "
                    + "look at it, and try again if need be")
        }
        return known
    }

    private func seal(
        _ ring: KeyRing, after former: KnownRing?, for holders: [NamedHolder],
        using chance: inout some RandomNumberGenerator
    ) throws(BackupFailure) -> [UInt8] {
        let isTwice = holders.indices.contains { at in
            holders[..<at].contains { $0.holder.isSame(as: holders[at].holder) }
        }
        guard !isTwice else {
            throw .key("two of the keys are the same one: lost once, lost twice")
        }
        guard holders.contains(where: \.holder.opens) else {
            throw .key("none of the keys opens what is made: give one that is no public half")
        }
        let key = Secret.drawn(by: &chance)
        var wrappings: [Wrapping] = []
        for named in holders {
            wrappings.append(try wrapping(of: key, for: named, using: &chance))
        }
        let bytes = KeyRingObject.encode(
            ring, after: former, wrappings: wrappings, key: key, random: .drawn(by: &chance))
        guard let bytes else {
            throw .key(
                "a key ring has \(KeyRingObject.wrappingsMin) to \(KeyRingObject.wrappingsMax) keys "
                    + "with different names; here are \(holders.count)")
        }
        return bytes
    }

    private func wrapping(
        of key: Secret, for named: NamedHolder,
        using chance: inout some RandomNumberGenerator
    ) throws(BackupFailure) -> Wrapping {
        let (name, holder) = (named.name, named.holder)
        let bytes: [UInt8]
        do throws(UnwrapRefused) {
            bytes = try holder.wrap(key, for: owner, using: &chance)
        } catch {
            throw .key("\(holder.kind) \(name.debugDescription): \(error)")
        }
        guard let wrapping = Wrapping(holder.kind, name: name, bytes: bytes) else {
            throw .key(
                "a key's name has 1 to \(Wrapping.nameByteCountMax) bytes, not \(name.utf8.count)")
        }
        return wrapping
    }

    /// A ring that nobody can open is a lost tenant: each key has to open it while that is no harm yet, but for boxes
    /// whose private half is elsewhere.
    private func opened(
        _ bytes: [UInt8], by holders: [NamedHolder], after former: KnownRing?
    ) throws(BackupFailure) -> KnownRing {
        do throws(ObjectDamage) {
            let object = try KeyRingObject(parsing: bytes)
            var known: KnownRing?
            for (named, wrapping) in zip(holders, object.wrappings) where named.holder.opens {
                known = try object.ring(key(in: wrapping, by: named.holder), after: former)
            }
            guard let known, holders.count == object.wrappings.count else {
                throw .contents("it has other wrappings")
            }
            return known
        } catch { throw .unreadable(error) }
    }

    private func key(
        in wrapping: Wrapping, by holder: KeyHolder
    ) throws(ObjectDamage) -> Secret {
        do throws(UnwrapRefused) { return try holder.unwrap(wrapping, of: owner).get() } catch {
            throw .contents("\(wrapping.words): \(error)")
        }
    }
}
