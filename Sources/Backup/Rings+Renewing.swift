package import Mesh
package import Repository
internal import Sealing

extension Rings {
    /// Rotates by itself where the newest epoch is older than `age` and all keys can be renewed with what is here:
    /// `holder`, and boxes, which need nobody. nil where it is not due; else the newest ring, whoever made it.
    ///
    /// Throws where a key is not here: it would open nothing that is written from then on, so the ring stays as it is. An
    /// epoch that began in the future, by this clock, is not due: of two clocks the one ahead must not be followed by
    /// a rotation each time the other one looks.
    package func renewed(
        _ known: KnownRing, by holder: KeyHolder, olderThan age: Interval, at now: WallTime,
        using chance: inout some RandomNumberGenerator
    ) throws(BackupFailure) -> KnownRing? {
        let since = known.ring.current.since
        guard now > since, now.rawValue - since.rawValue >= age.nanoseconds else { return nil }
        do throws(BackupFailure) {
            return try append(after: known, for: [holder], at: now, using: &chance)
        } catch {
            // Another one may have done it meanwhile.
            let newest = try newest(openedBy: holder, since: known)
            if newest.number > known.number {
                try settle(newest.number)
                return newest
            }
            guard case .key = error else { throw error }
            let days = (now.rawValue - since.rawValue) / 86_400_000_000_000
            throw .key(
                "the key of epoch \(known.ring.current.epoch) is \(days) days old, and a rotation needs "
                    + "what is not here: \(error); run `holdfast repository rotate` where all keys are, or "
                    + "let an escrow key take the place of the one that is missing")
        }
    }

    /// Sees to it that as many stores have the ring of that number as have to: the leading one alone may have taken it from who
    /// made it, and what is sealed by it has to be opened from the others, too.
    package func settle(_ number: UInt64) throws(BackupFailure) {
        guard store.copies.count > 1 else { return }
        let bytes = try store.reading(name(number)) { bytes throws(ObjectDamage) in
            _ = try KeyRingObject(parsing: bytes)
            return bytes
        }
        do throws(ObjectStoreFailure) { _ = try store.put(name(number), bytes) } catch {
            throw .store(error)
        }
    }
}
