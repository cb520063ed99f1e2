internal import ArgumentParser
internal import Mesh
internal import Settings
internal import Store

struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Makes the data directory of a node that has never served.",
        discussion: """
            Once in a node's life, as the user that its agent runs as; an agent refuses a directory \
            that was not made so. Never for a node that has served: mount its disk instead, for \
            without what it promised its vote could undo flushed writes.
            """)

    /// What was made, for a program.
    struct Made: Encodable {
        let data: String
        let node: UInt64
        let region: String
        let store: String?
    }

    @OptionGroup var options: OutputOptions
    @Option(help: "The node's configuration file.") var config: String

    func run() throws {
        let settings = try ConfigFile.agent(config)
        let directory = StoreDirectory(
            settings.node.data, of: settings.member.id, in: settings.cluster.cluster,
            members: settings.cluster.roles, config: config)
        let (made, member) = (try Self.make(directory), settings.member)
        try options.show(
            Made(
                data: directory.path, node: member.id.rawValue, region: member.region.text,
                store: made.store?.description), Self.lines(made, directory, member))
    }

    private static func make(_ directory: StoreDirectory) throws(Failure) -> Identity {
        var chance = SystemRandomNumberGenerator()
        do {
            return try directory.make(StoreID(high: chance.next(), low: chance.next()))
        } catch let error as StateFile.Failed {
            throw Failure(
                .refused,
                "\(error)\n  Check `data` in \(directory.config), and who may write there.")
        } catch {
            throw Failure(.refused, "\(error)")
        }
    }

    private static func lines(
        _ identity: Identity, _ directory: StoreDirectory, _ member: Member
    ) -> [Line] {
        let program = member.role == .witness ? "holdfast-witness" : "holdfast-agent"
        let store = identity.store.map { ", store \($0)" } ?? ""
        return [
            Line("made \(directory.path) for node \(member.id) in \(member.region)\(store)", .good),
            Line("next: \(program) --config \(directory.config)"),
        ]
    }
}
