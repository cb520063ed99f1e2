internal import Admin
internal import ArgumentParser
internal import Certificates
internal import Decisions
internal import Mesh
internal import Schedule
internal import Settings
internal import Yams

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Checks and shows configuration.",
        subcommands: [Check.self, Show.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Names every fault of a file with its line, its key and what was expected.",
            discussion: """
                A node's file is checked together with the cluster file and the certificates that it \
                names: whether they can be read, belong together and to this node, are signed by the \
                authority, and have not expired.
                """)

        /// A file in order, for a program.
        struct InOrder: Encodable {
            let file: String
            let cluster: String
            let members: Int
            var node: UInt64?
            /// What is no fault and still to be done.
            var notes: [String] = []

            init(_ file: String, _ cluster: ClusterSettings) {
                self.file = file
                self.cluster = cluster.cluster.description
                members = cluster.members.count
            }
        }

        @OptionGroup var options: OutputOptions
        @Argument(help: "A node's file, or a cluster's.") var file: String

        func run() async throws {
            let text = try ConfigFile.text(file)
            guard !ConfigFile.isCluster(text) else {
                let cluster = try ConfigFile.checked { () throws(Faults) in
                    try ClusterSettings(parsing: text, file: file)
                }
                let lines = [Line("\(file) is in order", .good)] + Self.lines(cluster)
                return try options.show(InOrder(file, cluster), lines)
            }
            let settings = try ConfigFile.agent(file)
            let notes = try await Self.certificates(of: settings)
            let own = settings.member
            let begins = Self.beginning(of: settings) + Self.schedule(of: settings)
            var value = InOrder(file, settings.cluster)
            value.node = own.id.rawValue
            value.notes = (begins + notes).map { String($0.text.drop { $0 == " " }) }
            let lines = [
                Line("\(file) is in order", .good),
                Line("  node \(own.id) in \(own.region), \(own.role.rawValue), \(own.address)"),
            ]
            try options.show(value, lines + Self.lines(settings.cluster) + begins + notes)
        }

        private static func lines(_ cluster: ClusterSettings) -> [Line] {
            let mesh = Line(
                "  cluster \(cluster.cluster): \(counted(cluster.members.count, "member")), "
                    + "primary \(cluster.primaryRegion), lease \(cluster.lease.length)")
            guard let backups = cluster.backups else { return [mesh] }
            let full = backups.full.map { ", full at \($0)" } ?? ""
            return [mesh, Line("  backups at \(backups.runs)\(full) (UTC)")]
        }

        /// Somebody has to make what the schedule asks for, and it may be meant to be others.
        private static func schedule(of settings: AgentSettings) -> [Line] {
            guard settings.cluster.backups != nil, settings.backup == nil,
                settings.member.role == .data
            else { return [] }
            return [
                Line(
                    "  backups are scheduled, and this node has no `backup` setting: others have to make them",
                    .warning)
            ]
        }

        /// What an empty store of this node would do.
        private static func beginning(of settings: AgentSettings) -> [Line] {
            let own = settings.member.id
            guard settings.node.founding else {
                return [
                    Line(
                        "  founding false: empty, it waits until `holdfast members add \(own)` or "
                            + "`replace OLD --with \(own)` makes it a member")
                ]
            }
            return [
                Line(
                    "  founding true: empty, it begins the mesh with \(settings.cluster.roles); a "
                        + "node that joins a mesh that runs needs `founding: false`")
            ]
        }

        /// That none is there yet is no fault: certificates are often made after the configuration.
        private static func certificates(of settings: AgentSettings) async throws -> [Line] {
            let tls = settings.node.tls
            let name = PeerName(
                cluster: settings.cluster.cluster, region: settings.member.region,
                node: settings.member.id)
            let check = CredentialCheck(
                ca: tls.ca, certificate: tls.certificate, key: tls.key, own: name)
            guard check.absent.count < 3 else {
                return check.absent.map {
                    Line("  \($0) is not there yet; make it with `holdfast cert`", .warning)
                }
            }
            let faults = await check.faults()
            guard faults.isEmpty else {
                throw Failure(
                    .refused,
                    "\(counted(faults.count, "fault"))\n"
                        + faults.map(\.description).joined(separator: "\n"))
            }
            return [Line("  \(tls.certificate) is this node's, and signed by \(tls.ca)")]
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows a node's settings with all defaults filled in.")

        @OptionGroup var options: OutputOptions
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
                return try show(["defaults": text])
            }
            let settings = try ConfigFile.agent(file)
            try show([
                "node": ConfigFile.nodeText(settings.node),
                "cluster": ConfigFile.clusterText(settings.cluster),
            ])
        }

        /// The texts are YAML themselves; a program that wants JSON gets each under its name.
        private func show(_ texts: KeyValuePairs<String, String>) throws {
            guard options.output == .json else {
                return Terminal.write(texts.map(\.value).joined())
            }
            let values = try texts.map { name, text in
                (name, try YAMLDecoder().decode(JSONValue.self, from: text))
            }
            let map = JSONValue.map(Dictionary(values) { first, _ in first })
            Terminal.write(try options.output.text(of: Format.json(map)))
        }
    }
}
