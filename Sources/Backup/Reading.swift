internal import Repository

extension ObjectStore {
    /// What `read` makes of an object, or of a part of it: of the first copy that is whole.
    func reading<Value>(
        _ name: ObjectName, _ range: Range<Int>? = nil,
        _ read: ([UInt8]) throws(ObjectDamage) -> Value
    ) throws(BackupFailure) -> Value {
        let bytes: [UInt8]
        do throws(ObjectStoreFailure) { bytes = try get(name, range) } catch { throw .store(error) }
        do throws(ObjectDamage) { return try read(bytes) } catch {
            if let value = self.value(name, range, read) { return value }
            throw .damaged(name, error)
        }
    }

    /// nil where the object has no other copy that is whole.
    private func value<Value>(
        _ name: ObjectName, _ range: Range<Int>?,
        _ read: ([UInt8]) throws(ObjectDamage) -> Value
    ) -> Value? {
        let copies = copies
        guard copies.count > 1 else { return nil }
        for copy in copies {
            guard let bytes = try? copy.store.get(name, range), let value = try? read(bytes) else {
                continue
            }
            return value
        }
        return nil
    }
}

extension Vault {
    /// What `read` makes of an object of that name: of the first copy that is whole.
    func reading<Value>(
        _ name: ObjectName, _ range: Range<Int>? = nil,
        _ read: ([UInt8]) throws(ObjectDamage) -> Value
    ) throws(BackupFailure) -> Value {
        try store.reading(name, range, read)
    }
}
