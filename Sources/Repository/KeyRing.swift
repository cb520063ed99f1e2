package import Mesh
package import Sealing

/// The secrets of one tenant: with them all of its backups can be read, without them none.
package struct KeyRing: Sendable {
    package static let turnsMax = 4_096

    /// From one rotation to the next.
    package struct Turn: Sendable {
        package let epoch: KeyEpoch
        package let since: WallTime
        /// Which of the ring's id secrets names what is written.
        let idSecret: Int
        let secret: Secret

        package var key: EpochKey { EpochKey(epoch, secret) }

        func isSame(as other: Turn) -> Bool {
            epoch == other.epoch && since == other.since && idSecret == other.idSecret
                && secret.isSame(as: other.secret)
        }
    }

    package let repository: RepositoryID
    package let tenant: TenantID
    /// Never empty.
    private(set) var idSecrets: [Secret]
    /// By which whoever has this ring vouches for the one after it. It leaves the ring for nothing else: who can seal
    /// a pack can't make a ring.
    private(set) var succession: Secret
    /// In the order of their epochs, which count up from 1; never empty.
    package private(set) var turns: [Turn]

    /// The ring of a new tenant. All secrets are drawn by chance, and for this alone.
    package init(
        repository: RepositoryID, tenant: TenantID, idSecret: Secret, succession: Secret,
        first: Secret, at time: WallTime
    ) {
        (self.repository, self.tenant) = (repository, tenant)
        (idSecrets, self.succession) = ([idSecret], succession)
        turns = [Turn(epoch: .first, since: time, idSecret: 0, secret: first)]
    }

    /// nil for what no rotations lead to.
    init?(
        repository: RepositoryID, tenant: TenantID, idSecrets: [Secret], succession: Secret,
        turns: [(since: WallTime, idSecret: Int, secret: Secret)]
    ) {
        guard let first = turns.first, first.idSecret == 0,
            (1...Self.turnsMax).contains(turns.count), turns.last?.idSecret == idSecrets.count - 1,
            zip(turns, turns.dropFirst()).allSatisfy({
                $0.idSecret == $1.idSecret || $0.idSecret + 1 == $1.idSecret
            })
        else { return nil }
        (self.repository, self.tenant) = (repository, tenant)
        (self.idSecrets, self.succession) = (idSecrets, succession)
        self.turns = turns.enumerated().map { at, turn in
            Turn(
                epoch: KeyEpoch(UInt32(at + 1)), since: turn.since, idSecret: turn.idSecret,
                secret: turn.secret)
        }
    }

    /// What a thief may have taken together with a key.
    package struct Renewal: Sendable {
        let idSecret: Secret
        let succession: Secret
        package init(idSecret: Secret, succession: Secret) {
            (self.idSecret, self.succession) = (idSecret, succession)
        }
    }

    /// What is written from now on is sealed by another key; what lies there stays as it is, and readable. False
    /// where there have been `turnsMax` turns.
    ///
    /// After an incident, and only then, the other secrets are drawn anew too: the next backup stores
    /// everything again. Until all have read the new ring, a thief of the old one can make another in its place:
    /// its digest has to reach them by another way.
    package mutating func rotate(
        to secret: Secret, renewing renewal: Renewal? = nil, at time: WallTime
    ) -> Bool {
        guard turns.count < Self.turnsMax else { return false }
        if let renewal {
            idSecrets.append(renewal.idSecret)
            succession = renewal.succession
        }
        let epoch = KeyEpoch(UInt32(turns.count + 1))
        turns.append(
            Turn(epoch: epoch, since: time, idSecret: idSecrets.count - 1, secret: secret))
        return true
    }

    /// By what new objects are sealed.
    package var current: Turn { turns[turns.count - 1] }

    private func turn(_ epoch: KeyEpoch) -> Turn? {
        (1...turns.count).contains(Int(epoch.rawValue)) ? turns[Int(epoch.rawValue) - 1] : nil
    }

    /// Whether blobs of that epoch are named as new ones are; false for an epoch that there was not yet.
    package func keepsIDs(since epoch: KeyEpoch) -> Bool {
        turn(epoch).map { $0.idSecret == current.idSecret } ?? false
    }

    /// By what blobs of that epoch are named; nil for one that there was not yet.
    package func idKeys(_ epoch: KeyEpoch) -> IDKeys? {
        turn(epoch).map { IDKeys(idSecrets[$0.idSecret]) }
    }

    /// How objects of that epoch are opened; nil for one that there was not yet.
    package func place(_ epoch: KeyEpoch) -> SealedPlace? {
        turn(epoch).map { SealedPlace(repository: repository, tenant: tenant, key: $0.key) }
    }

    /// Signs who destroyed the tenant's rings. All rings of the tenant give the same one, so that its public half can be
    /// written down long before.
    package var erasureKey: SigningKey {
        SigningKey(idSecrets[0].derived(salt: [], for: Array("holdfast erasure 1".utf8)))
    }

    /// What only who has this ring can say of the one after it.
    func vouch(for words: [UInt8]) -> Digest { IDKey(succession).id(of: words.span) }

    /// Whether this one has all that the former has, so that nothing which was sealed before is lost.
    func holdsAll(of former: KeyRing) -> Bool {
        repository == former.repository && tenant == former.tenant
            && idSecrets.count >= former.idSecrets.count && turns.count >= former.turns.count
            && zip(idSecrets, former.idSecrets).allSatisfy { $0.isSame(as: $1) }
            && zip(turns, former.turns).allSatisfy { $0.isSame(as: $1) }
    }
}

/// A ring that was read, and the object it was read from.
package struct KnownRing: Sendable {
    package let ring: KeyRing
    package let number: UInt64
    /// Of its object: what names it as a predecessor.
    package let digest: Digest
}
