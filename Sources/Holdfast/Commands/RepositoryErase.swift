internal import Admin
internal import ArgumentParser
internal import Backup
internal import FoundationEssentials
internal import Glibc
internal import Mesh
internal import Repository
internal import Sealing
internal import Settings
internal import StoreChoice

extension RepositoryCommand {
    struct EraseTenant: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "erase-tenant",
            abstract:
                "Destroys a tenant's key rings: nothing that it backed up is read ever again.",
            discussion: """
                All key rings in the store are deleted, and copies of them in its quarantine. It can't reach \
                versions that a bucket keeps, copies of the repository elsewhere, or key files: delete those \
                too. The record says what was done, signed; keep it away from the repository.
                """)

        @OptionGroup var options: OutputOptions
        @OptionGroup var confirmation: ConfirmationOptions
        @Argument(help: "The repository's directory, or the store file that says where it is.")
        var place: String
        @OptionGroup var key: FirstKeyOptions
        @Option(help: "Who does it; it goes into the record.") var by: String
        @Option(help: "Why; it goes into the record.") var reason: String
        @Option(help: "The file of the record that is made.") var record: String

        func run() throws {
            let opened = try OpenedRepository(try ConfigFile.store(place), key, for: .all)
            let tenant = opened.rings.tenant
            try confirmation.demand(
                "\(tenant)", "make all backups of tenant \(tenant) unreadable for ever")
            let done = try backed { () throws(BackupFailure) in
                try opened.rings.erase(
                    opened.ring, by: by, reason: reason, at: .ofThisMachine
                ) { text throws(BackupFailure) in
                    try KeyStorage.makeRecord(text, record)
                }
            }
            let made = Made(
                tenant: "\(tenant)", rings: done.ringCount, quarantined: done.quarantinedCount,
                record: record, erasureKey: "\(opened.ring.ring.erasureKey.publicKey ?? .ofNothing)"
            )
            try options.show(made, made.lines)
        }

        private struct Made: Encodable {
            let tenant: String
            let rings: Int
            let quarantined: Int
            let record: String
            let erasureKey: String

            var lines: [Line] {
                [
                    Line(
                        "erased tenant \(tenant): \(counted(rings, "key ring")) and "
                            + "\(counted(quarantined, "copy in quarantine", "copies in quarantine")) are gone",
                        .good),
                    Line("\(record) says so, signed by \(erasureKey)"),
                    Line(
                        "destroy its keys, and copies of the repository elsewhere: what has both can still "
                            + "be read", .warning),
                ]
            }
        }
    }

    struct CheckErasure: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check-erasure",
            abstract: "Checks the record of an erasure; no key of the tenant is needed.")

        @OptionGroup var options: OutputOptions
        @Argument(help: "The record's file.") var record: String
        @Option(help: "The erasure key that `repository show` gave while there was a ring.")
        var erasureKey: String

        func run() throws {
            guard let key = Digest(erasureKey) else {
                throw Failure(
                    .usage, "--erasure-key takes the 64 digits that `repository show` gave")
            }
            guard let bytes = FileManager.default.contents(atPath: record) else {
                throw Failure(.refused, "\(record) cannot be read; check that it exists")
            }
            let read: ErasureRecord
            do throws(ErasureRefused) {
                read = try ErasureRecord(parsing: Array(bytes), signedBy: key)
            } catch { throw Failure(.refused, "\(record): \(error)") }
            let said = Said(read)
            try options.show(said, said.lines)
        }

        private struct Said: Encodable {
            let repository: String
            let tenant: String
            let unixSeconds: UInt64
            let by: String
            let reason: String
            let rings: [UInt64]

            init(_ record: ErasureRecord) {
                (repository, tenant) = ("\(record.repository)", "\(record.tenant)")
                unixSeconds = record.time.rawValue / 1_000_000_000
                (by, reason, rings) = (record.by, record.reason, record.rings.map(\.number))
            }

            var lines: [Line] {
                [
                    Line(
                        "signed: \(by) erased tenant \(tenant) of repository \(repository)", .good),
                    Line("\(Words.time(unixSeconds: unixSeconds)), because: \(reason)"),
                    Line("key rings \(rings.first ?? 0) to \(rings.last ?? 0)"),
                ]
            }
        }
    }
}
