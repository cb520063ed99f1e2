package import Mesh
package import Repository
package import Sealing

/// One tenant's part of a repository, and the keys to it.
package struct Vault: Sendable {
    package internal(set) var store: any ObjectStore
    package let layout: Layout
    package let ring: KeyRing
    package let limits: BackupLimits
    /// Draws 256 bits by chance, for one object.
    let draw: @Sendable () -> Salt
    private let places: [SealedPlace]
    private let idKeys: [IDKeys]

    /// Opens what is there. A store without this repository is refused: it may be a disk that is not mounted.
    package init(
        _ store: any ObjectStore, ring: KeyRing, limits: BackupLimits = BackupLimits(),
        draw: @escaping @Sendable () -> Salt = { Salt.drawn() }
    ) throws(BackupFailure) {
        (self.store, self.ring, self.limits, self.draw) = (store, ring, limits, draw)
        layout = Layout(ring.tenant)
        places = ring.turns.compactMap { ring.place($0.epoch) }
        idKeys = ring.turns.compactMap { ring.idKeys($0.epoch) }
        try Self.confirm(ring.repository, in: store)
    }

    /// Refuses a store that has not this very repository in it.
    static func confirm(
        _ id: RepositoryID, in store: any ObjectStore
    ) throws(BackupFailure) {
        try store.reading(Layout.repository) { bytes throws(ObjectDamage) in
            let found = try RepositoryObject(parsing: bytes).id
            guard found == id else { throw .anotherRepository(found) }
        }
    }

    /// Which repository a store has in it.
    package static func repository(in store: any ObjectStore) throws(BackupFailure) -> RepositoryID
    {
        try store.reading(Layout.repository) { bytes throws(ObjectDamage) in
            try RepositoryObject(parsing: bytes).id
        }
    }

    /// Makes a store a repository, once.
    package static func found(
        _ id: RepositoryID, in store: any ObjectStore
    ) throws(BackupFailure) {
        do throws(ObjectStoreFailure) {
            _ = try store.put(Layout.repository, RepositoryObject(id: id).encoded)
        } catch { throw .store(error) }
    }

    /// By what new objects are sealed, and new blobs named.
    var place: SealedPlace { places[places.count - 1] }
    package var ids: IDKeys { idKeys[idKeys.count - 1] }

    /// Whether blobs of that epoch are still named as new ones are.
    package func keepsIDs(since epoch: KeyEpoch) -> Bool { ring.keepsIDs(since: epoch) }

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
    /// A key, or a key ring, that is not the one it has to be.
    case key(String)
    /// What was just sealed did not open as it was closed.
    case unreadable(ObjectDamage)
    /// A map names what no index knows of; indexes that can't be read may.
    case unknownBlob(Digest, Blob.Kind, unreadableIndexes: [ObjectName])
    /// A volume, or what is to be read or written besides the repository.
    case volume(String)
    /// An earlier map can't be gone on with: since then blobs have other names.
    case renewedIDs(since: KeyEpoch)
    /// Blobs were taken on and are in no index: a bug, or an earlier failure that was not heeded.
    case unfinished(blobs: Int)
    /// A backup was given up; what it stored is no part of another one.
    case givenUp
    /// The newest backup is of a later place in the log than this replica has come to.
    case behind(here: Position, newest: Position)
    /// Entries between them were not shipped, or not on the same log.
    case gap(after: Position, next: LogIndex)
    /// The archived log begins behind the backup: what came before was let go of, or never shipped.
    case notKept(since: LogIndex, backup: Position)
    /// The archived log has another entry where the backup was made.
    case anotherLog(backup: Position, archive: Position)
    /// The archived log ends at an entry that this node's log does not hold yet.
    case archiveAhead(Position)
    /// Others shipped first, again and again.
    case outpaced(tries: Int)
    /// What was asked for can't be done as things are; nothing was changed.
    case refused(String)
    /// No manifest could be put: others came first, again and again.
    case overtaken(tries: Int)

    package var description: String {
        switch self {
        case .store(let failure): "\(failure)"
        case .damaged(let name, let damage): "\(name): \(damage)"
        case .key(let words): words
        case .unreadable(let damage):
            "what was just sealed does not open: \(damage); suspect this machine's memory"
        case .unknownBlob(let id, let kind, let indexes):
            "no index tells where \(kind) \(id) lies: "
                + (indexes.isEmpty
                    ? "an index or a pack is missing"
                    : "\(indexes.map(\.text).joined(separator: ", ")) can't be read")
        case .volume(let words), .refused(let words): words
        case .renewedIDs(let epoch):
            "the id secret was renewed since key epoch \(epoch): a full backup is needed"
        case .unfinished(let count): "\(count) blobs were not stored: no backup can be made of this"
        case .givenUp: "this backup failed before, and was given up"
        case .behind(let here, let newest):
            "the newest backup is as of \(newest), and this replica has only come to \(here): wait "
                + "until it has caught up, or ask another node"
        case .gap(let after, let next):
            "the archived log is broken off behind entry \(after.index): it goes on with \(next), and not from there; "
                + "ask for --at-index \(after.index), or restore a backup that is behind it"
        case .notKept(let first, let backup):
            "the archived log begins with entry \(first), and the backup is as of \(backup): what lies between was "
                + "let go of (`backup prune --keep-log`) or never shipped; restore a backup itself, or ask for a "
                + "moment behind the next one"
        case .anotherLog(let backup, let archive):
            "the backup is as of \(backup), where the archived log has \(archive): the log was cut, or "
                + "machines were put back, between them"
        case .archiveAhead(let end):
            "the archived log ends at \(end), which the log here does not hold: the log was cut, or "
                + "machines were put back; shipping goes on once the log is behind that, make a full backup now"
        case .outpaced(let tries):
            "another node shipped first, \(tries) times in a row; do two believe to be primary?"
        case .overtaken(let tries):
            "another backup of this tenant came first, \(tries) times in a row; is one running in "
                + "two places?"
        }
    }
}

extension Vault {
    func get(_ name: ObjectName, _ range: Range<Int>? = nil) throws(BackupFailure) -> [UInt8] {
        do throws(ObjectStoreFailure) { return try store.get(name, range) } catch {
            throw .store(error)
        }
    }

    /// nil where it is not there.
    func find(_ name: ObjectName) throws(BackupFailure) -> [UInt8]? {
        do throws(ObjectStoreFailure) { return try store.get(name, nil) } catch {
            guard error.cause == .missing else { throw .store(error) }
            return nil
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

    /// What `read` gives, whose damage is that object's.
    func blaming<Value>(
        _ name: ObjectName, _ read: () throws(ObjectDamage) -> Value
    ) throws(BackupFailure) -> Value {
        do throws(ObjectDamage) { return try read() } catch { throw .damaged(name, error) }
    }
}
