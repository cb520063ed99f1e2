internal import Mesh
package import Repository
package import Sealing

/// One tenant's part of a repository, and the keys to it.
package struct Vault: Sendable {
    package let store: any ObjectStore
    package let layout: Layout
    package let ring: KeyRing
    /// Draws 256 bits by chance, for one object.
    let draw: @Sendable () -> Salt
    private let places: [SealedPlace]
    private let idKeys: [IDKeys]

    package init(_ store: any ObjectStore, ring: KeyRing, draw: @escaping @Sendable () -> Salt) {
        (self.store, self.ring, self.draw) = (store, ring, draw)
        layout = Layout(ring.tenant)
        places = ring.turns.compactMap { ring.place($0.epoch) }
        idKeys = ring.turns.compactMap { ring.idKeys($0.epoch) }
    }

    /// By what new objects are sealed, and new blobs named.
    var place: SealedPlace { places[places.count - 1] }
    package var ids: IDKeys { idKeys[idKeys.count - 1] }

    func place(_ epoch: KeyEpoch) throws(ObjectDamage) -> SealedPlace {
        places[try number(epoch)]
    }

    func ids(_ epoch: KeyEpoch) throws(ObjectDamage) -> IDKeys { idKeys[try number(epoch)] }

    private func number(_ epoch: KeyEpoch) throws(ObjectDamage) -> Int {
        guard (1...places.count).contains(Int(epoch.rawValue)) else {
            throw .anotherEpoch(epoch, have: ring.current.epoch)
        }
        return Int(epoch.rawValue) - 1
    }

    /// How an object opens that begins with these bytes.
    func place(of head: [UInt8]) throws(ObjectDamage) -> SealedPlace {
        try place(SealedHeader(parsing: head).epoch)
    }
}

/// Why a backup or a restore did not come to its end.
package enum BackupFailure: Error, Sendable, CustomStringConvertible {
    case store(ObjectStoreFailure)
    case damaged(ObjectName, ObjectDamage)
    /// A pack did not open as it was closed a moment before: memory or a processor is at fault.
    case unreadable(ObjectDamage)
    /// A map names what no index knows of.
    case unknownBlob(Digest, Blob.Kind)
    /// A pack or an index has other bytes than its name says.
    case anotherObject(ObjectName)
    /// What was to be read or written besides the repository.
    case volume(String)
    /// No manifest could be put: others came first, again and again.
    case overtaken(tries: Int)

    package var description: String {
        switch self {
        case .store(let failure): "\(failure)"
        case .damaged(let name, let damage): "\(name): \(damage)"
        case .unreadable(let damage):
            "what was just sealed does not open: \(damage); suspect this machine's memory"
        case .unknownBlob(let id, let kind):
            "no index tells where \(kind) \(id) lies: an index or a pack is missing"
        case .anotherObject(let name): "\(name): its bytes are not those that it is named by"
        case .volume(let words): words
        case .overtaken(let tries):
            "another backup of this tenant came first, \(tries) times in a row; is one running in two places?"
        }
    }
}

extension Vault {
    func get(_ name: ObjectName, _ range: Range<Int>? = nil) throws(BackupFailure) -> [UInt8] {
        do throws(ObjectStoreFailure) { return try store.get(name, range) } catch {
            throw .store(error)
        }
    }

    func put(_ name: ObjectName, _ bytes: [UInt8]) throws(BackupFailure) {
        do throws(ObjectStoreFailure) { _ = try store.put(name, bytes) } catch {
            throw .store(error)
        }
    }

    func list(_ part: ObjectName) throws(BackupFailure) -> [ObjectListing.Object] {
        do throws(ObjectStoreFailure) { return try store.list(part).objects } catch {
            throw .store(error)
        }
    }

    /// What `read` gives of the object of that name.
    func reading<Value>(
        _ name: ObjectName, _ read: () throws(ObjectDamage) -> Value
    ) throws(BackupFailure) -> Value {
        do throws(ObjectDamage) { return try read() } catch { throw .damaged(name, error) }
    }
}
