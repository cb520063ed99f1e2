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
    }

    package let repository: RepositoryID
    package let tenant: TenantID
    /// Never empty.
    private(set) var idSecrets: [Secret]
    /// In the order of their epochs, which count up from 1; never empty.
    package private(set) var turns: [Turn]

    /// The ring of a new tenant. Both secrets are drawn by chance, and for this alone.
    package init(
        repository: RepositoryID, tenant: TenantID, idSecret: Secret, first: Secret,
        at time: WallTime
    ) {
        (self.repository, self.tenant, idSecrets) = (repository, tenant, [idSecret])
        turns = [Turn(epoch: .first, since: time, idSecret: 0, secret: first)]
    }

    /// nil for what no rotations lead to.
    init?(
        repository: RepositoryID, tenant: TenantID, idSecrets: [Secret],
        turns: [(since: WallTime, idSecret: Int, secret: Secret)]
    ) {
        guard let first = turns.first, first.idSecret == 0,
            (1...Self.turnsMax).contains(turns.count), turns.last?.idSecret == idSecrets.count - 1,
            zip(turns, turns.dropFirst()).allSatisfy({
                $0.idSecret == $1.idSecret || $0.idSecret + 1 == $1.idSecret
            })
        else { return nil }
        (self.repository, self.tenant, self.idSecrets) = (repository, tenant, idSecrets)
        self.turns = turns.enumerated().map { at, turn in
            Turn(
                epoch: KeyEpoch(UInt32(at + 1)), since: turn.since, idSecret: turn.idSecret,
                secret: turn.secret)
        }
    }

    /// What is written from now on is sealed by another key; what lies there stays as it is, and readable. False
    /// where there have been `turnsMax` turns.
    ///
    /// A key that leaked may have come with the id secret: after an incident, and only then, a new one is
    /// handed in, and the next backup stores everything anew.
    package mutating func rotate(
        to secret: Secret, idSecret: Secret? = nil, at time: WallTime
    ) -> Bool {
        guard turns.count < Self.turnsMax else { return false }
        if let idSecret { idSecrets.append(idSecret) }
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

    /// By what blobs of that epoch are named; nil for one that there was not yet.
    package func idKeys(_ epoch: KeyEpoch) -> IDKeys? {
        turn(epoch).map { IDKeys(idSecrets[$0.idSecret]) }
    }

    /// How objects of that epoch are opened; nil for one that there was not yet.
    package func place(_ epoch: KeyEpoch) -> SealedPlace? {
        turn(epoch).map { SealedPlace(repository: repository, tenant: tenant, key: $0.key) }
    }

    /// What only who has this ring can say of the one after it.
    func succession(over words: [UInt8]) -> Digest {
        let secret = current.secret.derived(salt: [], for: Array("holdfast succession 1".utf8))
        return IDKey(secret).id(of: words.span)
    }
}
