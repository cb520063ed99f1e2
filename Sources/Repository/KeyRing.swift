package import Mesh
package import Sealing

/// The secrets of one tenant: with them all of its backups can be read, without them none.
package struct KeyRing: Sendable {
    package static let turnsMax = 4_096

    /// From one rotation to the next.
    package struct Turn: Sendable {
        package let epoch: KeyEpoch
        package let since: WallTime
        let secret: Secret

        package var key: EpochKey { EpochKey(epoch, secret) }
    }

    package let repository: RepositoryID
    package let tenant: TenantID
    let idSecret: Secret
    /// In the order of their epochs, which count up from 1; never empty.
    package private(set) var turns: [Turn]

    /// The ring of a new tenant. Both secrets are drawn by chance, and for this alone.
    package init(
        repository: RepositoryID, tenant: TenantID, idSecret: Secret, first: Secret,
        at time: WallTime
    ) {
        (self.repository, self.tenant, self.idSecret) = (repository, tenant, idSecret)
        turns = [Turn(epoch: .first, since: time, secret: first)]
    }

    init(
        repository: RepositoryID, tenant: TenantID, idSecret: Secret,
        secrets: [(since: WallTime, secret: Secret)]
    ) {
        invariant(!secrets.isEmpty, "a ring has a key")
        (self.repository, self.tenant, self.idSecret) = (repository, tenant, idSecret)
        turns = secrets.enumerated().map { at, turn in
            Turn(epoch: KeyEpoch(UInt32(at + 1)), since: turn.since, secret: turn.secret)
        }
    }

    /// What is written from now on is sealed by another key; what lies there stays as it is, and readable.
    /// False where there have been `turnsMax` rotations.
    package mutating func rotate(to secret: Secret, at time: WallTime) -> Bool {
        guard turns.count < Self.turnsMax else { return false }
        let epoch = KeyEpoch(UInt32(turns.count + 1))
        turns.append(Turn(epoch: epoch, since: time, secret: secret))
        return true
    }

    /// By what new objects are sealed.
    package var current: Turn { turns[turns.count - 1] }
    package var idKeys: IDKeys { IDKeys(idSecret) }

    /// How objects of that epoch are opened; nil for one that there was not yet.
    package func place(_ epoch: KeyEpoch) -> SealedPlace? {
        guard (1...turns.count).contains(Int(epoch.rawValue)) else { return nil }
        return SealedPlace(
            repository: repository, tenant: tenant, key: turns[Int(epoch.rawValue) - 1].key)
    }
}
