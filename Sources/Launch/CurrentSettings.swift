package import Logging
package import Mesh
internal import NIOConcurrencyHelpers
package import Settings

/// The settings as they were last read: SIGHUP may bring other members.
package final class CurrentSettings: Sendable {
    private let box: NIOLockedValueBox<AgentSettings>

    package init(_ settings: AgentSettings) { box = NIOLockedValueBox(settings) }

    package var value: AgentSettings { box.withLockedValue { $0 } }

    /// Goes on with what was read again, unless a node that runs can't; `members` vote or listen. The
    /// log says which of both.
    package func adopt(_ new: AgentSettings, members: [NodeID], _ logger: Logger) -> Bool {
        let refusals = value.refusals(of: new, members: members)
        guard refusals.isEmpty else {
            for why in refusals {
                logger.error(
                    "the settings were refused, the old ones stay", metadata: ["why": "\(why)"])
            }
            return false
        }
        box.withLockedValue { $0 = new }
        logger.notice("members were read again", metadata: ["are": "\(new.cluster.roles)"])
        return true
    }

    package func refused(_ faults: Faults, _ logger: Logger) {
        for fault in faults.all {
            logger.error(
                "the settings can't be read, the old ones stay", metadata: ["why": "\(fault)"])
        }
    }
}
