import Alarms
import Dispatch
import Driver
import Gossip
import Journal
import Launch
import Logging
import Mending
import Mesh
import Raft
import Record
import NIOConcurrencyHelpers
import Transport
import Voting

/// Where the witness's parts meet.
final class Switchboard: Sendable {
    struct Parts: Sendable {
        let driver: Driver<Voter>
        let keeper: LogKeeper
        let transport: Transport
        let desk: MendDesk
    }

    let logger: Logger
    let keeper: AlarmKeeper
    private let incarnations: IncarnationFile
    private let connected = NIOLockedValueBox<Parts?>(nil)
    private let files = DispatchQueue(label: "holdfast.files")

    init(incarnations: IncarnationFile, keeper: AlarmKeeper, logger: Logger) {
        self.keeper = keeper
        self.incarnations = incarnations
        self.logger = logger
    }

    func connect(_ parts: Parts) { connected.withLockedValue { $0 = parts } }

    private var parts: Parts? { connected.withLockedValue { $0 } }

    func carryOut(_ effects: [Voter.Effect]) {
        guard let parts else { return }
        for effect in effects {
            switch effect {
            case .raft(let effect): carryOut(effect, parts)
            case .gossip(let effect): carryOut(effect, parts)
            }
        }
    }

    private func carryOut(_ effect: RaftEffect, _ parts: Parts) {
        switch effect {
        case .save(let write):
            if !parts.keeper.save(write) {
                stop(ExitCode.disk, "the log's disk has stalled: its queue is full")
            }
        case .send(let letter): send(letter)
        case .fetch(let fetch):
            parts.keeper.fetch(fetch) { fetch, entries in
                parts.driver.post(.raft(.fetched(fetch, entries)))
            }
        case .became(let role, let term, let leader):
            logger.info(
                "raft",
                metadata: [
                    "role": "\(role)", "term": "\(term)",
                    "leader": "\(leader.map { "\($0)" } ?? "none")",
                ])
        case .replicaLost(let node, let acknowledged):
            keeper.note(
                .replicaLost, about: node, index: acknowledged, at: BootClock.unixMilliseconds)
            logger.critical(
                "a member lost writes that it had acknowledged: its disk was emptied or rolled back",
                metadata: ["node": "\(node)", "acknowledged": "\(acknowledged)"])
        case .contradicted(let found):
            keeper.note(
                .contradiction, about: found.leader, index: found.committed.index,
                at: BootClock.unixMilliseconds)
            logger.critical(
                "the leader contradicts what is committed here",
                metadata: [
                    "leader": "\(found.leader)", "term": "\(found.term)",
                    "committed": "\(found.committed)", "claimed": "\(found.claimed)",
                ])
        case .membershipChanged(let members, let index):
            logger.notice("members", metadata: ["are": "\(members)", "since": "\(index)"])
        case .steppedDown, .apply, .restore, .readReady, .readRefused, .accepted, .proposalsRefused,
            .membershipRefused, .leftBehind:
            // A witness holds no state, moves no base of its own, and proposes and reads nothing.
            break
        }
    }

    private func carryOut(_ effect: Gossip.Effect, _ parts: Parts) {
        switch effect {
        case .send(let message, let to): send(message, to, parts)
        case .persist(let persist):
            let incarnations = incarnations
            files.async {
                do { try incarnations.persist(persist.incarnation) } catch {
                    stop(ExitCode.disk, "\(error)")
                }
                for letter in persist.releases { self.send(letter.message, letter.to, parts) }
                parts.driver.post(.gossip(.persisted(persist.incarnation)))
            }
        case .became(let node, let liveness):
            logger.notice("member", metadata: ["node": "\(node)", "is": "\(liveness)"])
        case .restarted(let node, _):
            logger.notice("member restarted", metadata: ["node": "\(node)"])
        case .conflict(let node, _):
            logger.error(
                "two processes live under one name: a cloned data directory?",
                metadata: ["node": "\(node)"])
        case .registersChanged: break
        }
    }

    private func send(_ message: Gossip.Message, _ to: NodeID, _ parts: Parts) {
        _ = parts.transport.send(GossipCodec.encode(message), to: to, lane: .gossip)
    }

    func send(_ letter: Letter) {
        _ = parts?.transport.send(letter.pieces, to: letter.to, lane: .consensus)
    }

    func heard(_ event: LogKeeper.Event) {
        switch event {
        case .saved(let number): parts?.driver.post(.raft(.saved(through: number)))
        case .failed(let error): stop(ExitCode.disk, "the log has stopped: \(error)")
        }
    }

    /// A member's log is damaged, and this one may hold what it lacks.
    private func asked(_ bytes: [UInt8], by node: NodeID) {
        guard let parts, MendMessage.isOne(bytes),
            case .ask(let session, let entries)? = try? MendMessage(parsing: bytes)
        else { return }
        let inLog = parts.driver.inspect { $0.raft.held(of: entries) }
        parts.desk.answer(entries, session, to: node, inLog: inLog)
    }

    func receive(_ bytes: [UInt8], from node: NodeID, on lane: Lane) {
        guard let driver = parts?.driver else { return }
        switch lane {
        case .consensus:
            guard let letter = try? Letter(parsing: bytes), letter.from == node else { return }
            driver.offer(.raft(.received(letter)))
        case .gossip:
            guard let message = try? GossipCodec.decode(bytes) else { return }
            driver.offer(.gossip(.received(message, from: node)))
        case .bulk: asked(bytes, by: node)
        }
    }
}
