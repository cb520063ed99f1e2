internal import ArgumentParser
internal import Backup
internal import Sealing

extension RepositoryCommand {
    struct Keygen: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes an escrow key: one half closes, only the other one opens.",
            discussion: """
                Run it where the private half shall stay, away from all agents. With the public half \
                `repository create` and `repository rotate` let the private one open what is backed up; \
                nothing can be read with it.
                """)

        @OptionGroup var options: OutputOptions
        @Option(help: "The file of the private half that is made.") var escrow: String
        @Option(help: "The file of the public half; the private one's with `.pub` when left away.")
        var `public`: String?

        func run() throws {
            let (path, publicPath) = (escrow, `public` ?? escrow + ".pub")
            var chance = SystemRandomNumberGenerator()
            let secret = Secret.drawn(by: &chance)
            try backed("Give a new path, on a disk that keeps it.") { () throws(BackupFailure) in
                try KeyStorage.makeEscrow(secret, path, publicPath: publicPath)
            }
            let made = Made(key: path, publicKey: publicPath)
            try options.show(
                made,
                [
                    Line("made \(path) and \(publicPath)", .good),
                    Line(
                        "keep \(path) away from agents and backups: it opens, on its own", .warning),
                    Line("give \(publicPath) as --escrow-public; it is no secret"),
                ])
        }

        private struct Made: Encodable {
            let key: String
            let publicKey: String
        }
    }
}
