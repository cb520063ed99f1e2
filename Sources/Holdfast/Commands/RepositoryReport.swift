internal import Mesh
internal import Repository
internal import Sealing

/// Whose a repository is and which keys open it; nothing here is secret.
struct RepositoryReport: Encodable {
    struct Epoch: Encodable {
        let epoch: UInt32
        /// In nanoseconds since 1970.
        let since: UInt64
    }
    struct Key: Encodable {
        let kind: String
        let name: String
    }

    let repository: String
    let tenant: String
    let ring: UInt64
    /// The ring's: by which a first contact can be held to it.
    let digest: String
    /// What checks the record of the tenant's erasure, when there is no ring any more.
    let erasureKey: String
    let epochs: [Epoch]
    let keys: [Key]

    init(_ known: KnownRing, _ wrappings: [Wrapping]) {
        repository = known.ring.repository.description
        tenant = known.ring.tenant.description
        (ring, digest) = (known.number, known.digest.description)
        erasureKey = known.ring.erasureKey.publicKey?.description ?? ""
        epochs = known.ring.turns.map {
            Epoch(epoch: $0.epoch.rawValue, since: $0.since.rawValue)
        }
        keys = wrappings.map { Key(kind: $0.kind.description, name: $0.name) }
    }

    var lines: [Line] {
        var epochs = Table([("EPOCH", .right), ("SINCE", .left)])
        for epoch in self.epochs {
            let since = Words.time(unixSeconds: epoch.since / 1_000_000_000)
            epochs.add(["\(epoch.epoch)", since])
        }
        var keys = Table([("KEY", .left), ("KIND", .left)])
        for key in self.keys { keys.add([key.name.debugDescription, key.kind]) }
        return [
            Line("repository \(repository)"), Line("tenant \(tenant)"),
            Line("ring \(ring), digest \(digest)"), Line("erasure key \(erasureKey)"),
        ] + keys.lines() + epochs.lines()
    }
}
