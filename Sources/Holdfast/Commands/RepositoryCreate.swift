internal import Admin
internal import ArgumentParser
internal import Backup
internal import FoundationEssentials
internal import Glibc
internal import Repository
internal import Sealing
internal import Settings
internal import StoreChoice

extension RepositoryCommand {
    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a directory or a bucket a repository, and the keys to it.",
            discussion: """
                Both keys are made before anything is stored. Without one of them nothing that is \
                backed up can be restored, by nobody.
                """)

        @OptionGroup var options: OutputOptions
        @Argument(help: "An empty directory, or a store file that names a bucket.") var place:
            String
        @Option(help: "The key file that is made for the agents, or a provider file that is there.")
        var key: String
        @OptionGroup var second: SecondKeyOptions
        @Flag(help: "Add another tenant, with keys of its own, to the repository that is there.")
        var addTenant = false

        func validate() throws {
            guard second.isGiven else {
                throw ValidationError(
                    "Give --spare-key, --passphrase-file or --escrow-public: one key alone is lost at "
                        + "once.")
            }
        }

        func run() throws {
            let settings = try ConfigFile.store(place)
            let store = try settings.opened(for: .all, isNew: !addTenant)
            if !addTenant { try Self.demandEmpty(store, StoreChoice.name(of: settings)) }
            if case .directory = settings {
                for path in [key, second.spareKey].compactMap(\.self) { try demandApart(path) }
            }
            var chance = SystemRandomNumberGenerator()
            let repository =
                try addTenant
                ? Self.found(in: store) : RepositoryID(high: chance.next(), low: chance.next())
            let rings = Rings(
                store, repository: repository,
                tenant: TenantID(high: chance.next(), low: chance.next()))
            let keys = try makeKeys(for: rings, &chance)
            do throws(BackupFailure) {
                _ = try rings.found(for: keys.holders, at: .ofThisMachine, using: &chance)
                // Last: until then it is no repository, and no backup was made.
                if !addTenant { try Vault.found(repository, in: store) }
            } catch { throw leftOver("\(error)", keys.made + leftInside(rings)) }
            let made = Made(
                repository: repository.description, tenant: rings.tenant.description,
                place: Self.absolute(place), isStoreFile: StoreChoice.isStoreFile(place),
                key: Self.absolute(key), provided: keys.provided,
                spareKey: second.spareKey.map(Self.absolute),
                others: [
                    second.passphraseFile.map { _ in "the passphrase" },
                    second.escrowPublic.map { "the private half of \($0)" },
                ].compactMap(\.self), isAnother: addTenant)
            try options.show(made, made.lines)
        }

        /// What may be left of one that could not be made. Nothing of another tenant is named.
        private func leftInside(_ rings: Rings) -> [String] {
            [addTenant ? "what is in \(place) under \(rings.tenant)" : "what is in \(place)"]
        }

        private static func found(in store: any ObjectStore) throws(Failure) -> RepositoryID {
            do throws(BackupFailure) { return try Vault.repository(in: store) } catch {
                throw Failure(
                    .refused, "no tenant is added to what is no repository: \(error)")
            }
        }
    }
}

extension RepositoryCommand.Create {
    /// What was made, for a program.
    struct Made: Encodable {
        let repository: String
        let tenant: String
        /// One of both.
        let directory: String?
        let store: String?
        let key: String
        let spareKey: String?
        /// Provider files of its keys.
        private let provided: [String]
        /// What opens it besides, in words.
        private let others: [String]
        private let isAnother: Bool

        private enum CodingKeys: CodingKey {
            case repository, tenant, directory, store, key, spareKey
        }

        init(
            repository: String, tenant: String, place: String, isStoreFile: Bool, key: String,
            provided: [String] = [], spareKey: String?, others: [String] = [],
            isAnother: Bool = false
        ) {
            (self.provided, self.others, self.isAnother) = (provided, others, isAnother)
            (self.repository, self.tenant) = (repository, tenant)
            (directory, store) = isStoreFile ? (nil, place) : (place, nil)
            (self.key, self.spareKey) = (key, spareKey)
        }

        var lines: [Line] {
            let others = Words.list([spareKey].compactMap(\.self) + others)
            let place =
                store.map { "store: \(Self.yaml($0))" }
                ?? "directory: \(Self.yaml(directory ?? ""))"
            return [
                Line(
                    isAnother
                        ? "added tenant \(tenant) to repository \(repository)"
                        : "made repository \(repository) with tenant \(tenant)", .good),
                Line("put \(key) on each agent, readable by the user it runs as alone"),
                Line(
                    "keep \(others) elsewhere: without one of these nothing can be restored",
                    .warning),
            ]
                + provided.map {
                    Line("add to \($0): repository: \(repository), and tenant: \(tenant)", .warning)
                } + [
                    Line("in each node's file:"),
                    Line("backup: {\(place), key: \(Self.yaml(key))}"),
                ]
        }

        /// In quotes where a path has anything in it that could be more than a path.
        private static func yaml(_ path: String) -> String {
            let isPlain = path.allSatisfy {
                $0.isASCII && ($0.isLetter || $0.isNumber || "/._-".contains($0))
            }
            return isPlain ? path : "'" + path.replacing("'", with: "''") + "'"
        }
    }

    /// Objects without a name tag are a repository that lost it: nothing is put on top of that.
    private static func demandEmpty(_ store: any ObjectStore, _ name: String) throws(Failure) {
        let objects: [ObjectListing.Object]
        do throws(ObjectStoreFailure) { objects = try store.list(nil).objects } catch {
            throw Failure(.refused, "\(error)")
        }
        guard let first = objects.first else { return }
        let isRepository = objects.contains { $0.name == Layout.repository }
        throw Failure(
            .refused,
            isRepository
                ? "\(name) is a repository already\n  `holdfast repository show` says whose."
                : "\(name) holds \(counted(objects.count, "object")) of a repository, "
                    + "\(first.name) for one, and does not say which\n  Give an empty directory, or another prefix."
        )
    }

    /// Whoever gets hold of the backups must not get the key with them.
    private func demandApart(_ path: String) throws(Failure) {
        let above = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let (folder, store) = (Self.absolute(above) + "/", Self.absolute(place) + "/")
        guard !folder.hasPrefix(store) else {
            throw Failure(
                .refused,
                "\(path) would lie in the repository itself: who has the backups had the key to them\n"
                    + "  Give a path outside of \(place).")
        }
    }

    private func makeKeys(
        for rings: Rings, _ chance: inout SystemRandomNumberGenerator
    ) throws(Failure) -> MadeKeys {
        // Read first: what can be refused is, before anything is made.
        let passphrase = try second.passphraseFile.map { path throws(Failure) in
            try SecondKeyOptions.passphrase(path)
        }
        let recipient = try second.recipient()
        var keys = MadeKeys(owner: RingOwner(repository: rings.repository, tenant: rings.tenant))
        for (name, path) in [("key", key), ("spare", second.spareKey)] {
            guard let path else { continue }
            do throws(Failure) { try keys.make(name, path, using: &chance) } catch {
                throw keys.made.isEmpty ? error : leftOver(error.text, keys.made)
            }
        }
        if let passphrase {
            keys.holders.append(NamedHolder("passphrase", .passphrase(passphrase)))
        }
        if let recipient { keys.holders.append(NamedHolder("escrow", recipient)) }
        return keys
    }

    /// Nothing was sealed by then: whatever is there can go.
    private func leftOver(_ why: String, _ left: [String]) -> Failure {
        Failure(
            .refused,
            "\(why)\n  No backup depends on it yet: delete \(Words.list(left)), and try again.")
    }

    /// As it is called from everywhere; what can't be found is named as it was given.
    private static func absolute(_ path: String) -> String {
        guard let real = unsafe realpath(path, nil) else { return path }
        defer { unsafe free(real) }
        return unsafe String(cString: real)
    }
}
