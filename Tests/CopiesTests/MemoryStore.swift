import NIOConcurrencyHelpers
import Repository
import Sealing

/// A store in memory, which can be made to fail.
final class MemoryStore: ObjectStore {
    struct Contents: Sendable {
        var objects: [ObjectName: [UInt8]] = [:]
        /// What every request fails with; and those of one name.
        var failure: ObjectStoreFailure.Cause?
        var failures: [ObjectName: ObjectStoreFailure.Cause] = [:]
        var requests = 0
        /// What was put, in its order.
        var puts: [ObjectName] = []
    }

    let name: String
    let contents: NIOLockedValueBox<Contents>
    /// Takes down each put, among those of other stores.
    let journal: NIOLockedValueBox<[String]>

    init(_ name: String, _ journal: NIOLockedValueBox<[String]> = NIOLockedValueBox([])) {
        (self.name, self.journal) = (name, journal)
        contents = NIOLockedValueBox(
            Contents(objects: [
                Layout.repository: RepositoryObject(id: RepositoryID(high: 1, low: 2)).encoded
            ]))
    }

    var objects: [ObjectName: [UInt8]] {
        get { contents.withLockedValue { $0.objects } }
        set { contents.withLockedValue { $0.objects = newValue } }
    }

    private func asked(_ deed: String, _ name: ObjectName?) throws(ObjectStoreFailure) {
        let cause = contents.withLockedValue { contents in
            contents.requests += 1
            return contents.failure ?? name.flatMap { contents.failures[$0] }
        }
        if let cause {
            throw ObjectStoreFailure(deed, name?.text ?? "it", in: self.name, cause)
        }
    }

    func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome {
        try asked("store", name)
        let known = contents.withLockedValue { contents in
            let known = contents.objects[name]
            if known == nil {
                contents.objects[name] = bytes
                contents.puts.append(name)
            }
            return known
        }
        guard let known else {
            journal.withLockedValue { $0.append(self.name) }
            return .stored
        }
        guard known == bytes else {
            throw ObjectStoreFailure("store", name.text, in: self.name, .taken)
        }
        return .wasThere
    }

    func get(_ name: ObjectName, _ range: Range<Int>?) throws(ObjectStoreFailure) -> [UInt8] {
        try asked("read", name)
        guard let bytes = objects[name] else {
            throw ObjectStoreFailure("read", name.text, in: self.name, .missing)
        }
        let range = range ?? 0..<bytes.count
        guard range.upperBound <= bytes.count else {
            throw ObjectStoreFailure(
                "read", name.text, in: self.name,
                .short(wanted: range.upperBound, have: bytes.count))
        }
        return Array(bytes[range])
    }

    func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        try asked("list", part)
        var listing = ObjectListing()
        for (name, bytes) in objects.sorted(by: { $0.key < $1.key })
        where part.map({ name.text.hasPrefix($0.text + "/") }) ?? true {
            listing.objects.append(.init(name: name, byteCount: bytes.count))
        }
        return listing
    }

    func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
        try asked("delete", name)
        return contents.withLockedValue { $0.objects.removeValue(forKey: name) != nil }
    }

    func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure) {
        try asked("replace", name)
        objects[name] = bytes
    }

    func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int { 0 }

    func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {
        try asked("quarantine", name)
        guard try delete(name) else {
            throw ObjectStoreFailure("quarantine", name.text, in: self.name, .missing)
        }
    }
}
