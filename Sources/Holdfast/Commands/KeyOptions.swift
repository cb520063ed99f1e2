internal import ArgumentParser
internal import Backup
internal import FoundationEssentials
internal import Mesh
internal import Repository
internal import Settings
internal import StoreChoice

/// The key that opens a repository.
struct FirstKeyOptions: ParsableArguments {
    @Option(help: "A key file, the private half of an escrow key, or a provider file.")
    var key: String
    @Option(help: "Whose backups, where an escrow key opens those of several tenants.")
    var tenant: TenantID?
}

/// What else opens a repository: the region with the one key may be the one that burns.
struct SecondKeyOptions: ParsableArguments {
    @Option(help: "Another key file, to be kept elsewhere, or a provider file.")
    var spareKey: String?
    @Option(help: "A file that holds a passphrase.") var passphraseFile: String?
    @Option(help: "The public half of an escrow key, whose private one is elsewhere.")
    var escrowPublic: String?

    var isGiven: Bool { spareKey != nil || passphraseFile != nil || escrowPublic != nil }

    /// Those that were given and are there; a spare key has to be of the same tenant.
    func holders(for rings: Rings) throws(Failure) -> [KeyHolder] {
        var holders: [KeyHolder] = []
        if let spareKey { holders.append(try Self.spare(spareKey, of: rings)) }
        if let passphraseFile {
            holders.append(.passphrase(try Self.passphrase(passphraseFile)))
        }
        return holders
    }

    private static func spare(_ path: String, of rings: Rings) throws(Failure) -> KeyHolder {
        let spare = try backed { () throws(BackupFailure) in try KeyChoice.open(path) }
        if let owner = spare.owner,
            owner != RingOwner(repository: rings.repository, tenant: rings.tenant)
        {
            throw Failure(
                .refused,
                "\(path) is a key of tenant \(owner.tenant) in repository \(owner.repository)\n"
                    + "  Give the other key of tenant \(rings.tenant) in \(rings.repository).")
        }
        return spare.holder
    }

    static func passphrase(_ path: String) throws(Failure) -> [UInt8] {
        try backed { () throws(BackupFailure) in try KeyStorage.passphrase(path) }
    }

    /// To whom the ring is closed besides.
    func recipient() throws(Failure) -> KeyHolder? {
        try escrowPublic.map { path throws(Failure) in
            try backed { () throws(BackupFailure) in
                .recipient(try KeyStorage.escrowPublic(path))
            }
        }
    }
}

extension TenantID: ExpressibleByArgument {
    /// 32 hexadecimal digits.
    public init?(argument: String) {
        guard let words = Hexadecimal.words(argument) else { return nil }
        self.init(high: words.high, low: words.low)
    }
}

/// A repository, and the newest of the rings that a key opens.
struct OpenedRepository {
    let key: GivenKey
    let rings: Rings
    let ring: KnownRing

    init(
        _ settings: StoreSettings, _ options: FirstKeyOptions, for demand: StoreChoice.Demand
    ) throws(Failure) {
        try self.init(settings, key: options.key, tenant: options.tenant, for: demand)
    }

    init(
        _ settings: StoreSettings, key path: String, tenant: TenantID? = nil,
        for demand: StoreChoice.Demand
    ) throws(Failure) {
        try self.init(try settings.opened(for: demand), of: settings, key: path, tenant: tenant)
    }

    /// In a store that was opened already.
    init(
        _ store: any ObjectStore, of settings: StoreSettings, key path: String,
        tenant: TenantID? = nil
    ) throws(Failure) {
        let key = try backed { () throws(BackupFailure) in try KeyChoice.open(path) }
        let remedy = "Check that \(path) is a key to \(StoreChoice.name(of: settings))."
        let rings = try backed(remedy) { () throws(BackupFailure) in
            try key.rings(in: store, tenant: tenant)
        }
        ring = try backed(remedy) { () throws(BackupFailure) in
            try rings.newest(openedBy: key.holder)
        }
        (self.key, self.rings) = (key, rings)
    }

    func vault() throws(Failure) -> Vault {
        try backed { () throws(BackupFailure) in try Vault(rings.store, ring: ring.ring) }
    }

    /// The rings around the one that was opened, in a store that may hold more of them.
    func history(in store: any ObjectStore) -> RingHistory {
        Rings(store, repository: rings.repository, tenant: rings.tenant)
            .history(from: ring, by: key.holder)
    }

    func report(of ring: KnownRing) throws(Failure) -> RepositoryReport {
        let wrappings = try backed { () throws(BackupFailure) in
            try rings.wrappings(ring.number)
        }
        return RepositoryReport(ring, wrappings)
    }
}
