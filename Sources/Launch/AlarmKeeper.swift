package import Alarms
internal import Dispatch
package import Logging
package import Mesh
internal import NIOConcurrencyHelpers
internal import Store

/// Keeps what this node's operator must not miss: incidents on the disk, past every restart, and since
/// when each member lags. What other nodes know comes with the gossip.
package final class AlarmKeeper: Sendable {
    package static var fileName: String { Incidents.fileName }

    private struct State: Sendable {
        var incidents = Incidents()
        var lags = Lags()
        var clusterFile: ClusterPrint
    }

    private let own: NodeID
    private let file: StateFile
    private let logger: Logger
    private let state: NIOLockedValueBox<State>
    /// One write after the other; none holds up who noticed.
    private let queue = DispatchQueue(label: "holdfast.alarms")

    /// A file that can't be read is told and begun anew: the others' gossip brings most of it back.
    package init(
        in directory: String, own: NodeID, clusterFile: ClusterPrint, logger: Logger
    ) throws {
        self.own = own
        self.logger = logger
        file = StateFile(Self.fileName, in: directory)
        var state = State(clusterFile: clusterFile)
        if let bytes = try file.read(bytesMax: Incidents.byteCountMax) {
            if let incidents = Incidents(parsing: bytes) {
                state.incidents = incidents
            } else {
                logger.error(
                    "what is known of past alarms can't be read, and is begun anew",
                    metadata: ["file": "\(directory)/\(Self.fileName)"])
            }
        }
        self.state = NIOLockedValueBox(state)
    }

    package var incidents: Incidents { state.withLockedValue { $0.incidents } }

    /// What this node's reports in the gossip are to carry.
    package var bulletin: [UInt8] {
        state.withLockedValue {
            Bulletin(clusterFile: $0.clusterFile, incidents: $0.incidents).encoded
        }
    }

    /// The cluster file was read again.
    package func reloaded(_ clusterFile: ClusterPrint) {
        state.withLockedValue { $0.clusterFile = clusterFile }
    }

    package func lagBegan(_ node: NodeID) -> UInt64? {
        state.withLockedValue { $0.lags.began(node) }
    }

    /// Seen by this node, at `at` in unix milliseconds.
    package func note(_ kind: Incident.Kind, about: NodeID, index: LogIndex, at: UInt64) {
        change { incidents in
            incidents.note(kind, about: about, index: index, seenBy: own, at: at)
        }
    }

    /// What a look at the mesh tells: others' bulletins, who made its loss good while this node leads,
    /// and how far behind whom it knows of is. `now` in unix seconds.
    package func look(
        bulletins: [Bulletin], madeGood: [NodeID], lags: [NodeID: UInt64], at now: UInt64
    ) {
        state.withLockedValue { $0.lags.look(lags, at: now) }
        change { incidents in
            for bulletin in bulletins { incidents.join(bulletin.incidents) }
            for node in madeGood { incidents.madeGood(node, seenBy: own) }
        }
    }

    /// How many stood. Returns once it is on the disk.
    package func clear(_ kind: Incident.Kind) async -> Int {
        let count = change { $0.clear(kind) }
        await settle()
        return count
    }

    /// Returns once all that was noticed is on the disk.
    package func settle() async {
        await withCheckedContinuation { waiter in queue.async { waiter.resume() } }
    }

    @discardableResult
    private func change<Result: Sendable>(_ body: (inout Incidents) -> Result) -> Result {
        let (result, isChanged) = state.withLockedValue { state in
            let before = state.incidents
            let result = body(&state.incidents)
            return (result, state.incidents != before)
        }
        if isChanged { queue.async { self.persist() } }
        return result
    }

    /// A disk that takes nothing must not cost the mesh a vote: the alarm stands in memory, and on the
    /// other nodes.
    private func persist() {
        do { try file.replace(incidents.encoded) } catch {
            logger.error("an alarm could not be written down", metadata: ["why": "\(error)"])
        }
    }
}
