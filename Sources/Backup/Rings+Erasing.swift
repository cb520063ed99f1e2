package import Mesh
package import Repository
internal import Sealing

extension Rings {
    /// What an erasure did, and what vouches for that.
    package struct Erasure: Sendable {
        /// The text of the record, signed.
        package let record: [UInt8]
        package let ringCount: Int
        package let quarantinedCount: Int
    }

    /// Destroys all key rings of the tenant that lie in the store, and copies of them that were put in quarantine: what they
    /// opened is never read again, but by who has a ring and a key elsewhere.
    ///
    /// The record is stored first, and the newest ring is deleted last: whoever is killed in between can ask again. `kept`
    /// is called with the record before anything is deleted, and ends it all by throwing.
    package func erase(
        _ known: KnownRing, by: String, reason: String, at time: WallTime,
        kept: (_ record: [UInt8]) throws(BackupFailure) -> Void
    ) throws(BackupFailure) -> Erasure {
        var rings: [ErasureRecord.Ring] = []
        for number in try numbers() {
            rings.append(.init(number: number, digest: try digest(number)))
        }
        guard rings.last?.digest == known.digest else {
            throw .key("another ring came meanwhile: nothing was deleted; ask again")
        }
        let record = ErasureRecord(
            repository: repository, tenant: tenant, time: time, by: by, reason: reason,
            rings: rings)
        guard let text = record?.text(signedBy: known.ring.erasureKey) else {
            throw .refused(
                "who erases and why are one line each, of at most "
                    + "\(ErasureRecord.wordsByteCountMax) bytes")
        }
        try kept(text)
        try note(text)
        for ring in rings { try delete(name(ring.number)) }
        let quarantined = try deleteQuarantined()
        guard try listed().isEmpty else {
            throw .key("another ring was made meanwhile: ask again, by its key")
        }
        return Erasure(record: text, ringCount: rings.count, quarantinedCount: quarantined)
    }

    /// Under the first number that nothing has: each try leaves what it was about to do.
    private func note(_ text: [UInt8]) throws(BackupFailure) {
        for number in 1...Self.erasuresMax {
            do throws(ObjectStoreFailure) {
                _ = try store.put(layout.erasure(number), text)
                return
            } catch {
                guard error.cause == .taken else { throw .store(error) }
            }
        }
        throw .refused("there are \(Self.erasuresMax) records of erasures already")
    }
    private static let erasuresMax: UInt64 = 1_000

    private func delete(_ name: ObjectName) throws(BackupFailure) {
        do throws(ObjectStoreFailure) { _ = try store.delete(name) } catch { throw .store(error) }
    }

    private func deleteQuarantined() throws(BackupFailure) -> Int {
        do throws(ObjectStoreFailure) { return try store.deleteQuarantined(layout.rings) } catch {
            throw .store(error)
        }
    }
}
