internal import NIOConcurrencyHelpers
package import Repository
internal import S3Protocol
internal import Sealing

/// A bucket as it was at a time, whatever was deleted or written over in it since, and what came later and is whole. Nothing can
/// be put here.
///
/// Of each name it is the newest version of until then that is whole; where there is none, or the name came later, the oldest
/// whole one of since then: who could write over it since does not make what is whole. What had been deleted by then stays so.
package final class S3Versions: ObjectStore {
    package typealias Check = @Sendable (ObjectName, [UInt8]) -> Bool

    /// What a name has of versions.
    private struct History: Sendable {
        /// In the order in which they are looked at.
        let versions: [S3VersionPage.Entry]
        let wasThere: Bool

        /// nil where nothing of it is to be seen.
        init?(_ all: [S3VersionPage.Entry], asOf time: UInt64) {
            let before = all.filter { $0.modified / 1_000 <= time }
            wasThere = before.first.map { !$0.isMarker } ?? false
            let since = all.reversed().filter { $0.modified / 1_000 > time && !$0.isMarker }
            versions = (wasThere ? before.filter { !$0.isMarker } : []) + since
            if versions.isEmpty { return nil }
        }
    }

    /// Which names are to be seen, and which bytes are as they were stored.
    private struct Choice: Sendable {
        /// nil until somebody knows what is whole: whatever came later may be anybody's until then, and is not to be seen.
        var part: ObjectName?
        var isWhole: Check
    }

    private let store: S3Store
    private let time: UInt64
    private let known = NIOLockedValueBox<[String: History]?>(nil)
    private let choice: NIOLockedValueBox<Choice>
    /// Of what came later, whether any version is whole: else it is not to be seen, for somebody put it who should not have.
    private let later = NIOLockedValueBox<[ObjectName: Bool]>([:])

    /// `time` is in seconds, by the service's clock; a version of that very second counts as one of before.
    package init(of store: S3Store, asOf time: UInt64, by isWhole: @escaping Check) {
        (self.store, self.time) = (store, time)
        choice = NIOLockedValueBox(Choice(isWhole: isWhole))
    }

    /// From here on what belongs to `part` is to be seen, also what came later, and whose repository it is: of others nobody here
    /// can tell what was meant to stay deleted.
    package func choose(_ part: ObjectName, by isWhole: @escaping Check) {
        choice.withLockedValue { $0 = Choice(part: part, isWhole: isWhole) }
        later.withLockedValue { $0 = [:] }
    }

    /// Whether an object of that name was there at that time.
    package func wasThere(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
        try all(S3Deed("read the versions of", name.text))[name.text]?.wasThere ?? false
    }

    package var name: String { "earlier versions in \(store.place)" }
    package var copies: [StoreCopy] { [StoreCopy(name, self)] }

    /// All versions, listed once.
    private func all(_ deed: S3Deed) throws(ObjectStoreFailure) -> [String: History] {
        if let known = known.withLockedValue({ $0 }) { return known }
        let listed = try store.versions(of: nil, deed).compactMapValues { History($0, asOf: time) }
        known.withLockedValue { $0 = listed }
        return listed
    }

    private func isSeen(_ name: ObjectName, _ history: History) -> Bool {
        guard let part = choice.withLockedValue({ $0.part }) else { return history.wasThere }
        return name == Layout.repository || name.text.hasPrefix("\(part.text)/")
    }

    package func get(
        _ name: ObjectName, _ range: Range<Int>?
    ) throws(ObjectStoreFailure) -> [UInt8] {
        let deed = S3Deed("read the versions of", name.text)
        guard let history = try all(deed)[name.text], isSeen(name, history) else {
            throw store.failure(deed, .missing)
        }
        let isWhole = choice.withLockedValue { $0.isWhole }
        var first: [UInt8]?
        var failure: ObjectStoreFailure?
        for version in history.versions {
            let bytes: [UInt8]
            do throws(ObjectStoreFailure) {
                bytes = try store.all(name.text, version: version.version, deed)
            } catch {
                // Its lock ended and somebody deleted it since it was listed; or nobody can read it, who may have been put over
                // another one for that.
                if error.cause != .missing { failure = error }
                continue
            }
            first = first ?? bytes
            if isWhole(name, bytes) { return try part(range, of: bytes, deed) }
        }
        if let failure { throw failure }
        guard let first, history.wasThere else { throw store.failure(deed, .missing) }
        return try part(range, of: first, deed)
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

    /// Sessions and collections: whoever repairs asks them what was let go of.
    private static func isAskedFirst(_ name: ObjectName) -> Bool {
        let part = name.text.split(separator: "/").dropFirst().first
        return part == "sessions" || part == "collections"
    }

    /// What is named by its digest is in nobody's way.
    private func isWholeSince(
        _ name: ObjectName, _ history: History
    ) throws(ObjectStoreFailure) -> Bool {
        if history.wasThere || Layout.kind(name) != .other { return true }
        if let known = later.withLockedValue({ $0[name] }) { return known }
        var isWhole = true
        do throws(ObjectStoreFailure) { _ = try get(name, nil) } catch {
            // What can't be read just now is to be told as such, but for what is asked before all else: there it would hide what can.
            guard error.cause == .missing else { return !Self.isAskedFirst(name) }
            isWhole = false
        }
        later.withLockedValue { $0[name] = isWhole }
        return isWhole
    }

    package func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        var listing = ObjectListing()
        for (text, history) in try all(S3Deed("list the versions of", part?.text ?? "all")) {
            // What nobody knows is told where it can be seen.
            guard let name = ObjectName(text), isSeen(name, history),
                part.map({ text.hasPrefix("\($0.text)/") }) ?? true,
                try isWholeSince(name, history)
            else { continue }
            listing.objects.append(.init(name: name, byteCount: history.versions[0].byteCount))
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
