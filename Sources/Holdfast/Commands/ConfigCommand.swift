internal import ArgumentParser
internal import FoundationEssentials
internal import Decisions
internal import Mesh
internal import Settings

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Checks and shows configuration.",
        subcommands: [Check.self, Show.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Names every fault of a file with its line, its key and what was expected.",
            discussion: "A node's file is checked together with the cluster file that it names.")

        @Argument(help: "A node's file, or a cluster's.") var file: String

        func run() throws {
            let text = try ConfigFile.text(file)
            guard !ConfigFile.isCluster(text) else {
                let cluster = try ConfigFile.checked { () throws(Faults) in
                    try ClusterSettings(parsing: text, file: file)
                }
                return Terminal.show([Line("\(file) is in order", .good), Self.line(cluster)])
            }
            let settings = try ConfigFile.agent(file)
            let own = settings.member
            Terminal.show(
                [
                    Line("\(file) is in order", .good),
                    Line("  node \(own.id) in \(own.region), \(own.role.rawValue), \(own.address)"),
                    Self.line(settings.cluster),
                ] + Self.absentFiles(settings.node.tls))
        }

        private static func line(_ cluster: ClusterSettings) -> Line {
            Line(
                "  cluster \(cluster.cluster): \(Words.count(cluster.members.count, "member")), "
                    + "primary \(cluster.primaryRegion), lease \(cluster.lease.length)")
        }

        /// No fault: certificates are often made after the configuration.
        private static func absentFiles(_ tls: NodeSettings.TLS) -> [Line] {
            let named = [
                ("tls.ca", tls.ca), ("tls.certificate", tls.certificate), ("tls.key", tls.key),
            ]
            return named.filter { !FileManager.default.isReadableFile(atPath: $0.1) }.map {
                Line(
                    "  \($0.0): \($0.1) cannot be read yet; make it with `holdfast cert`", .warning)
            }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows a node's settings with all defaults filled in.")

        @Argument(help: "A node's file.") var file: String?
        @Flag(help: "Show the defaults alone.") var defaults = false

        func validate() throws {
            guard (file != nil) != defaults else {
                throw ValidationError("Give a node's file, or --defaults.")
            }
        }

        func run() throws {
            guard let file else {
                let text = try ConfigFile.checked { () throws(Faults) in try ConfigFile.defaults() }
                return Terminal.write(text)
            }
            let settings = try ConfigFile.agent(file)
            Terminal.write(
                ConfigFile.nodeText(settings.node) + ConfigFile.clusterText(settings.cluster))
        }
    }
}
