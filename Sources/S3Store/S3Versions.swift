internal import NIOConcurrencyHelpers
package import Repository
internal import S3Protocol
internal import Sealing

/// What lies in a bucket behind what its lists show: of each name the version that is as it was stored, however it was deleted or
/// written over since. Nothing can be put here.
///
/// Which one that is, `isWhole` says; of several such it is the oldest, for who wrote first wrote what was meant to be there.
package final class S3Versions: ObjectStore {
    package typealias Check = @Sendable (ObjectName, [UInt8]) -> Bool

    private let store: S3Store
    private let known = NIOLockedValueBox<[String: [S3VersionPage.Entry]]?>(nil)
    private let check = NIOLockedValueBox<Check?>(nil)

    package init(of store: S3Store) { self.store = store }

    /// Until it is called whatever is oldest is taken.
    package func choose(by isWhole: @escaping Check) { check.withLockedValue { $0 = isWhole } }

    package var name: String { "earlier versions in \(store.place)" }
    package var copies: [StoreCopy] { [StoreCopy(name, self)] }

    /// All versions, listed once.
    private func all(_ deed: S3Deed) throws(ObjectStoreFailure) -> [String: [S3VersionPage.Entry]] {
        if let known = known.withLockedValue({ $0 }) { return known }
        let listed = try store.versions(of: nil, deed).compactMapValues { versions in
            let real = versions.filter { !$0.isMarker }
            return real.isEmpty ? nil : real
        }
        known.withLockedValue { $0 = listed }
        return listed
    }

    package func get(
        _ name: ObjectName, _ range: Range<Int>?
    ) throws(ObjectStoreFailure) -> [UInt8] {
        let deed = S3Deed("read the versions of", name.text)
        guard let versions = try all(deed)[name.text] else {
            throw store.failure(deed, .missing)
        }
        let isWhole = check.withLockedValue { $0 }
        var oldest: [UInt8]?
        for version in versions.reversed() {
            let bytes: [UInt8]
            do throws(ObjectStoreFailure) {
                bytes = try store.all(name.text, version: version.version, deed)
            } catch {
                // Its lock ended and somebody deleted it, since it was listed.
                guard error.cause == .missing else { throw error }
                continue
            }
            oldest = oldest ?? bytes
            guard isWhole?(name, bytes) ?? true else { continue }
            return try part(range, of: bytes, deed)
        }
        guard let oldest else { throw store.failure(deed, .missing) }
        return try part(range, of: oldest, deed)
    }

    private func part(
        _ range: Range<Int>?, of bytes: [UInt8], _ deed: S3Deed
    ) throws(ObjectStoreFailure) -> [UInt8] {
        guard let range else { return bytes }
        guard range.upperBound <= bytes.count else {
            throw store.failure(deed, .short(wanted: range.upperBound, have: bytes.count))
        }
        return Array(bytes[range])
    }

    package func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        var listing = ObjectListing()
        for (text, versions) in try all(S3Deed("list the versions of", part?.text ?? "all")) {
            // What nobody knows is told where it can be seen.
            guard let name = ObjectName(text), part.map({ text.hasPrefix("\($0.text)/") }) ?? true
            else { continue }
            listing.objects.append(.init(name: name, byteCount: versions.last?.byteCount ?? 0))
        }
        listing.objects.sort { $0.name < $1.name }
        return listing
    }

    private func refused(_ verb: String, _ what: String) -> ObjectStoreFailure {
        store.failure(S3Deed(verb, what), .readOnly)
    }

    package func put(
        _ name: ObjectName, _ bytes: [UInt8]
    ) throws(ObjectStoreFailure) -> PutOutcome { throw refused("store", name.text) }
    package func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
        throw refused("delete", name.text)
    }
    package func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {
        throw refused("quarantine", name.text)
    }
    package func replace(
        _ name: ObjectName, with bytes: [UInt8]
    ) throws(ObjectStoreFailure) { throw refused("replace", name.text) }
    package func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int {
        throw refused("empty", part.text)
    }
}
