internal import Repository

/// A store whose objects come and go at no more than so many bytes in a second. Counted are the bytes of objects as they lie in
/// the store, and of what is put those of each copy; not what an asking costs besides, nor lists, nor what has to be asked for
/// twice because a service failed.
struct PacedStore: ObjectStore {
    private let store: any ObjectStore
    /// Told of bytes; returns once they are paid for.
    private let take: @Sendable (Int) -> Void
    /// How many stores get what is put.
    private let copyCount: Int

    init(_ store: any ObjectStore, _ take: @escaping @Sendable (Int) -> Void) {
        (self.store, self.take) = (store, take)
        copyCount = store.copies.count { !$0.isPast }
    }

    private init(one store: any ObjectStore, _ take: @escaping @Sendable (Int) -> Void) {
        (self.store, self.take, copyCount) = (store, take, 1)
    }

    var copies: [StoreCopy] {
        store.copies.map { StoreCopy($0.name, PacedStore(one: $0.store, take), isPast: $0.isPast) }
    }

    func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome {
        take(bytes.count * copyCount)
        return try store.put(name, bytes)
    }

    func get(_ name: ObjectName, _ range: Range<Int>?) throws(ObjectStoreFailure) -> [UInt8] {
        let bytes = try store.get(name, range)
        take(bytes.count)
        return bytes
    }

    func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {
        take(bytes.count * copyCount)
        try store.replace(name, with: bytes)
    }

    func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        try store.list(part)
    }

    func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool { try store.delete(name) }

    func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) { try store.quarantine(name) }

    func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int {
        try store.deleteQuarantined(part)
    }
}

extension Vault {
    /// The same one, whose objects come and go at that pace.
    package func paced(by pace: Pace) -> Vault {
        var paced = self
        paced.store = PacedStore(store) { pace.wait(for: $0) }
        return paced
    }

    /// At no more than so many bytes in a second; without a limit the same one.
    package func paced(_ bytesPerSecond: UInt64?) -> Vault {
        bytesPerSecond.map { paced(by: Pace($0)) } ?? self
    }
}
