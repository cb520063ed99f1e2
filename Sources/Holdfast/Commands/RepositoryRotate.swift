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

        func run() throws {
            let opened = try OpenedRepository(try ConfigFile.store(place), key)
            let holders = [opened.key.holder] + (try second.holders(for: opened.rings))
            let adding = try added(to: opened)
            var chance = SystemRandomNumberGenerator()
            let next = try backed { () throws(BackupFailure) in
                try opened.rings.append(
                    after: opened.ring, for: holders, adding: adding, dropping: Set(drop),
                    at: .ofThisMachine, using: &chance)
            }
            let report = try opened.report(of: next)
            let line = Line(
                "rotated: what is backed up from now on is sealed by key epoch "
                    + "\(next.ring.current.epoch), in ring \(next.number)", .good)
            try options.show(report, [line])
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
