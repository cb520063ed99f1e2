internal import ArgumentParser
internal import Backup
internal import FoundationEssentials
internal import Repository
internal import Sealing
internal import Settings
internal import StoreChoice

/// Which repository, and the key to it: no agent has to run.
struct RepositoryOptions: ParsableArguments {
    /// Threads that read, open and check.
    static let threads = BackupLimits.readingThreads(
        processors: ProcessInfo.processInfo.activeProcessorCount)

    @Option(help: "The node's file, whose `backup` names both.")
    var config: String?
    @Option(help: "The repository's directory, or a store file that says where it is.")
    var repository: String?
    @Option(
        help: "What opens it: a key file, a provider file, or the private half of an escrow key.")
    var key: String?
    @Option(help: "Whose backups, where an escrow key opens those of several tenants.")
    var tenant: TenantID?

    func validate() throws {
        guard (config == nil) == (repository != nil), (repository == nil) == (key == nil) else {
            throw ValidationError("Give --config FILE, or --repository PATH and --key FILE.")
        }
    }

    func vault(for demand: StoreChoice.Demand = .reading) throws -> Vault {
        let (store, file) = try place()
        return try OpenedRepository(store, key: file, tenant: tenant, for: demand).vault()
    }

    private func place() throws -> (store: StoreSettings, key: String) {
        if let repository, let key { return (try ConfigFile.store(repository), key) }
        let file = config ?? ""
        guard let backup = try ConfigFile.agent(file).backup else {
            throw Failure(
                .refused,
                "\(file) names no repository\n  Put backup: {directory: …, key: …} into it, or give "
                    + "--repository PATH and --key FILE.")
        }
        return (backup.store, backup.key)
    }

    /// The backup of that number, or the newest one.
    static func manifest(_ number: UInt64?, in vault: Vault) throws(Failure) -> Manifest {
        let found = try backed { () throws(BackupFailure) -> ManifestObject? in
            let manifests = Manifests(vault)
            guard let number else { return try manifests.newest() }
            let numbers = try manifests.numbers()
            guard numbers.contains(number) else {
                let known =
                    numbers.isEmpty
                    ? "there is none" : "there are \(numbers.first ?? 0) to \(numbers.last ?? 0)"
                throw .volume("there is no backup \(number): \(known)")
            }
            return try manifests.manifest(number)
        }
        guard let found else { throw Failure(.refused, none) }
        return found.manifest
    }

    private static let none =
        "the repository holds no backup of this tenant yet\n  Make one with `holdfast backup run`."
}
