internal import ArgumentParser
internal import Backup
internal import Mesh
internal import Repository
internal import Sealing
internal import StoreChoice

extension RepositoryCommand {
    struct Rotate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Seals what is backed up from now on by another key.",
            discussion: """
                What lies there stays as it is, and readable; the keys stay the same. All that open the \
                repository are needed, but for the private halves of escrow keys: one that is not here \
                would open nothing any more.
                """)

        @OptionGroup var options: OutputOptions
        @Argument(help: "The repository's directory, or the store file that says where it is.")
        var place: String
        @OptionGroup var key: FirstKeyOptions
        @OptionGroup var second: SecondKeyOptions
        @Option(
            parsing: .singleValue,
            help: "A key that shall open nothing new, by the name that `repository show` gives.")
        var drop: [String] = []

        @Option(help: "A new key file, which takes the place of the one that --key names.")
        var replaceKey: String?
        @Flag(
            help: """
                After an incident: also renew what names the data. Who had the old keys can neither \
                name nor vouch for what comes; the next backup stores everything anew.
                """)
        var renewIds = false

        func run() throws {
            let opened = try OpenedRepository(try ConfigFile.store(place), key, for: .all)
            var holders = try second.holders(for: opened.rings)
            var (adding, dropping) = (try added(to: opened), Set(drop))
            if let replaceKey {
                let new = try replacement(replaceKey, of: opened)
                dropping.insert(new.name)
                adding.append(new)
            } else {
                holders.append(opened.key.holder)
            }
            var chance = SystemRandomNumberGenerator()
            let next = try backed(remedy) { () throws(BackupFailure) in
                try opened.rings.append(
                    after: opened.ring, for: holders, adding: adding, dropping: dropping,
                    renewingIDs: renewIds, at: .ofThisMachine, using: &chance)
            }
            try options.show(try opened.report(of: next), lines(next))
        }

        private var remedy: String? {
            replaceKey.map { "Nothing depends on \($0) yet: delete it before another try." }
        }

        private func lines(_ next: KnownRing) -> [Line] {
            var lines = [
                Line(
                    "rotated: what is backed up from now on is sealed by key epoch "
                        + "\(next.ring.current.epoch), in ring \(next.number)", .good)
            ]
            if let replaceKey {
                lines.append(
                    Line("put \(replaceKey) on each agent, in the place of \(key.key)", .warning))
            }
            if renewIds {
                lines += [
                    Line("the next backup is a full one: it stores everything anew"),
                    Line(
                        "whoever had the old keys could have made another ring in its place: bring the "
                            + "digest to all who read it by another way", .warning),
                    Line("ring \(next.number), digest \(next.digest)"),
                ]
            }
            return lines
        }

        /// Under the name of the key that opened the ring until now.
        private func replacement(
            _ path: String, of opened: OpenedRepository
        ) throws(Failure) -> NamedHolder {
            let name = try backed { () throws(BackupFailure) in
                try opened.rings.keyName(of: opened.key.holder, in: opened.ring.number)
            }
            var chance = SystemRandomNumberGenerator()
            var keys = MadeKeys(
                owner: RingOwner(
                    repository: opened.rings.repository, tenant: opened.rings.tenant))
            try keys.make(name ?? "key", path, using: &chance)
            return keys.holders[0]
        }

        /// Under a name that no other key of the ring has.
        private func added(to opened: OpenedRepository) throws(Failure) -> [NamedHolder] {
            guard let recipient = try second.recipient() else { return [] }
            let wrappings = try backed { () throws(BackupFailure) in
                try opened.rings.wrappings(opened.ring.number)
            }
            let taken = Set(wrappings.map(\.name)).subtracting(drop)
            let names = ["escrow"] + (2...KeyRingObject.wrappingsMax).map { "escrow-\($0)" }
            return [NamedHolder(names.first { !taken.contains($0) } ?? "escrow", recipient)]
        }
    }
}
