internal import NIOConcurrencyHelpers
internal import Repository

/// One of the stores that have a copy each. It is opened when it is first needed, and again where it could not be.
final class Member: ObjectStore {
    /// How long a store that could not be reached is passed over by who can do without it: twice as long each time, for it
    /// may take minutes to find out that nobody answers.
    static let awaySpanMin = Duration.seconds(30)
    static let awaySpanMax = Duration.seconds(960)

    private enum State: Sendable {
        case closed
        case open(any ObjectStore)
        case away(Absence)
    }

    private struct Absence: Sendable {
        let failure: ObjectStoreFailure
        var span: Duration
        var until: ContinuousClock.Instant
        /// Somebody has its turn to try.
        var isTried = false
    }

    let name: String
    let isPast: Bool
    private let now: @Sendable () -> ContinuousClock.Instant
    private let opening: @Sendable () throws(ObjectStoreFailure) -> any ObjectStore
    private let identity: Identity?
    private let state = NIOLockedValueBox(State.closed)

    /// `identity` is that of the repository that has to be in it; nil while one is made.
    init(
        _ copy: CopiedStore.Copy, _ identity: Identity?,
        now: @escaping @Sendable () -> ContinuousClock.Instant
    ) {
        (name, isPast, opening) = (copy.name, copy.isPast, copy.open)
        (self.identity, self.now) = (identity, now)
    }

    /// Why it is passed over by who can do without it; nil where the caller is to ask it, and does. Of all who come once its
    /// time is over one gets nil: the others pass it over until that one knows more.
    func takeTurn() -> ObjectStoreFailure? {
        state.withLockedValue { state in
            guard case .away(var absence) = state else { return nil }
            if now() < absence.until { return absence.failure }
            (absence.until, absence.isTried) = (now() + absence.span, true)
            state = .away(absence)
            return nil
        }
    }

    /// Does something with the store, and takes it for away where it is the store itself that failed.
    func perform<Value>(
        _ deed: (any ObjectStore) throws(ObjectStoreFailure) -> Value
    ) throws(ObjectStoreFailure) -> Value {
        do throws(ObjectStoreFailure) { return try deed(try store()) } catch {
            if error.cause.isOfTheStore { leave(error) }
            throw error
        }
    }

    private func leave(_ failure: ObjectStoreFailure) {
        state.withLockedValue { state in
            var span = Self.awaySpanMin
            if case .away(let former) = state {
                // Several that asked at once have found out the same.
                if now() < former.until, !former.isTried { return }
                span = min(former.span * 2, Self.awaySpanMax)
            }
            state = .away(Absence(failure: failure, span: span, until: now() + span))
        }
    }

    /// Two that open it at once open it twice: nothing is waited for under a lock.
    private func store() throws(ObjectStoreFailure) -> any ObjectStore {
        if case .open(let store) = state.withLockedValue({ $0 }) { return store }
        let store = try opening()
        try identity?.confirm(store, name)
        state.withLockedValue { $0 = .open(store) }
        return store
    }

    func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome {
        try perform { store throws(ObjectStoreFailure) in try store.put(name, bytes) }
    }

    func get(_ name: ObjectName, _ range: Range<Int>?) throws(ObjectStoreFailure) -> [UInt8] {
        try perform { store throws(ObjectStoreFailure) in try store.get(name, range) }
    }

    func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        try perform { store throws(ObjectStoreFailure) in try store.list(part) }
    }

    func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
        try perform { store throws(ObjectStoreFailure) in try store.delete(name) }
    }

    func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {
        try perform { store throws(ObjectStoreFailure) in try store.quarantine(name) }
    }

    func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int {
        try perform { store throws(ObjectStoreFailure) in try store.deleteQuarantined(part) }
    }

    func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {
        try perform { store throws(ObjectStoreFailure) in try store.replace(name, with: bytes) }
    }
}

/// Which repository all of the stores have to hold: that of the one that was opened first.
final class Identity: Sendable {
    private let known = NIOLockedValueBox<(id: RepositoryID, store: String)?>(nil)
    private let isForReading: Bool

    /// Who only reads takes a store, too, whose name tag is damaged: it may have what others lost, and a repair puts it right.
    init(isForReading: Bool) { self.isForReading = isForReading }

    /// An empty directory may be a disk that is not mounted: nothing is put into it, and nothing is missing because of it.
    func confirm(_ store: any ObjectStore, _ name: String) throws(ObjectStoreFailure) {
        let bytes: [UInt8]
        do throws(ObjectStoreFailure) { bytes = try store.get(Layout.repository, nil) } catch {
            guard error.cause == .missing else { throw error }
            throw Self.failure(
                name,
                "no repository is there: it may not be mounted, or was never made a copy (`holdfast "
                    + "repository repair --new-copies`)")
        }
        let id: RepositoryID
        do throws(ObjectDamage) { id = try RepositoryObject(parsing: bytes).id } catch {
            if isForReading { return }
            throw Self.failure(name, "its object \(Layout.repository) is damaged: \(error)")
        }
        let first = known.withLockedValue { known in
            known = known ?? (id, name)
            return known
        }
        guard let first, first.id != id else { return }
        throw Self.failure(name, "another repository is there than in \(first.store)")
    }

    private static func failure(_ store: String, _ words: String) -> ObjectStoreFailure {
        ObjectStoreFailure("open", "it", in: store, .service(words))
    }
}
