package import Settings

/// Whose data directory it is: a copy started under another node's name would vote with what that
/// one promised.
package enum IdentityFile {
    package struct Foreign: Error, CustomStringConvertible, Sendable {
        let path: String
        let found: String
        let own: String
        package var description: String {
            "\(path) says that this data belongs to \(found), and the configuration is of \(own): "
                + "correct `data` or `node`; never start a node on another one's data"
        }
    }

    /// Writes who owns the directory at the first start, and compares at every later one.
    package static func check(_ settings: AgentSettings) throws {
        let own = "cluster \(settings.cluster.cluster) node \(settings.member.id)"
        let file = StateFile("identity", in: settings.node.data)
        guard let bytes = try file.read(bytesMax: 256) else {
            return try file.replace(Array("\(own)\n".utf8))
        }
        let found = String(decoding: bytes, as: UTF8.self).filter { !$0.isNewline }
        guard found == own else {
            throw Foreign(path: "\(settings.node.data)/identity", found: found, own: own)
        }
    }
}
