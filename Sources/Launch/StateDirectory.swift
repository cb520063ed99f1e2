internal import Glibc
package import Settings
package import Store

/// The directories that a daemon owns.
package enum StateDirectory {
    /// Makes them where they are missing, within a store that is there; only the owner may enter.
    package static func prepare(_ settings: AgentSettings, _ parts: [String])
        throws(StateFile.Failed)
    {
        for part in parts { try make("\(settings.node.data)/\(part)") }
        try make(settings.node.run)
    }

    private static func make(_ path: String) throws(StateFile.Failed) {
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw StateFile.Failed(path: path, deed: "create directory", code: errno)
        }
    }
}
