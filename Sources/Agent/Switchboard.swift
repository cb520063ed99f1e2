import Alarms
import Dispatch
import Driver
import Gossip
import Journal
import JournalCore
import Launch
import Logging
import Mending
import Mesh
import Node
import Raft
import Record
import NIOConcurrencyHelpers
import Transport
import VolumeCore
import Volumes

/// Where the parts meet: what the core wants goes to the shell that does it, and what came of it
/// goes back. The only place that knows them all.
final class Switchboard: Sendable {
    struct Parts: Sendable {
        let driver: Driver<Node>
        let keeper: LogKeeper
        let transport: Transport
        let volumes: VolumeThread<FileDisk>
        let desk: MendDesk
        let snapshots: SnapshotDesk
    }

    let logger: Logger
    let answers = Answers()
    let cuts = Cuts()
    let counters: Counters
    let keeper: AlarmKeeper
    private let incarnations: IncarnationFile
    private let connected = NIOLockedValueBox<Parts?>(nil)
    private let files = DispatchQueue(label: "holdfast.files")

    init(
        incarnations: IncarnationFile, keeper: AlarmKeeper, counters: Counters, logger: Logger
    ) {
        self.keeper = keeper
        self.counters = counters
        self.incarnations = incarnations
        self.logger = logger
    }

    /// Before this nothing is carried out, so nothing may have been started.
    func connect(_ parts: Parts) { connected.withLockedValue { $0 = parts } }

    var parts: Parts? { connected.withLockedValue { $0 } }

    // From the core.

    func carryOut(_ effects: [Node.Effect]) {
        guard let parts else { return }
        for effect in effects { carryOut(effect, parts) }
    }

    private func carryOut(_ effect: Node.Effect, _ parts: Parts) {
        switch effect {
        case .save(let write):
            if !parts.keeper.save(write) {
                stop(ExitCode.disk, "the log's disk has stalled: its queue is full")
            }
        case .send(let letter): send(letter)
        case .fetch(let fetch):
            parts.keeper.fetch(fetch) { fetch, entries in
                parts.driver.post(.fetched(fetch, entries))
            }
        case .gossip(let message, let to):
            let bytes = GossipCodec.encode(message)
            _ = parts.transport.send(bytes, to: to, lane: .gossip)
        case .persist(let persist): self.persist(persist, parts)
        case .note(let note, let to):
            _ = parts.transport.send(note.encoded, to: to, lane: .bulk)
        case .apply(let ruled): parts.volumes.post(.apply(ruled))
        case .checkpoint: parts.volumes.post(.checkpoint)
        case .cut(let order):
            if !parts.snapshots.ordered(order) { cuts.ordered(order, parts.volumes) }
        case .behind(let index): parts.volumes.post(.behind(index))
        case .pull(let source): parts.volumes.post(.pull(from: source))
        case .placed(let first, let count, let round):
            parts.volumes.post(.proposed(first: first, count: count, round: round))
        case .durable(let index): parts.volumes.post(.durable(through: index))
        case .open(let epoch, let until): parts.volumes.post(.opened(epoch, until: until))
        case .lease(let until): parts.volumes.post(.leased(until: until))
        case .drain: parts.volumes.post(.drain)
        case .close: parts.volumes.post(.closed)
        case .answer(let id, let answer): answers.give(answer, to: id)
        case .halt(let halt): stop(halt.code, halt.explanation)
        case .happened(let happening): note(happening)
        }
    }

    func send(_ letter: Letter) {
        _ = parts?.transport.send(letter.pieces, to: letter.to, lane: .consensus)
    }

    private func persist(_ persist: Gossip.Persist, _ parts: Parts) {
        let incarnations = incarnations
        files.async {
            do { try incarnations.persist(persist.incarnation) } catch {
                stop(ExitCode.disk, "\(error)")
            }
            for letter in persist.releases {
                let bytes = GossipCodec.encode(letter.message)
                _ = parts.transport.send(bytes, to: letter.to, lane: .gossip)
            }
            parts.driver.post(.incarnationPersisted(persist.incarnation))
        }
    }

    /// Returns once every incarnation that was spoken is on disk.
    func settleFiles() { files.sync {} }

    // From the disks.

    func heard(_ event: LogKeeper.Event) {
        switch event {
        case .saved(let number): parts?.driver.post(.saved(through: number))
        case .failed(let error): stop(ExitCode.disk, "the log has stopped: \(error)")
        }
    }

    func heard(_ event: VolumeEvent) {
        guard let driver = parts?.driver else { return }
        switch event {
        case .propose(let drafts, round: let round):
            driver.post(.write(drafts, round, answeredAt: BootClock.now))
        case .applied(let index): driver.post(.applied(through: index))
        case .checkpointed(let index): driver.post(.checkpointed(index))
        case .drained: driver.post(.drained)
        case .send(let message, let to):
            _ = parts?.transport.send(message.encoded, to: to, lane: .bulk)
        case .resync(let standing, let index): driver.post(.resync(standing, behind: index))
        case .scrubs:
            parts?.volumes.scrub(
                at: BootClock.wall, beside: driver.inspect { $0.otherReplica })
        case .damage(let blocks):
            note(damage: blocks)
            driver.post(.damage(blocks: blocks))
        case .distrust(let blocks): driver.post(.distrust(blocks: blocks))
        case .refused(let index, let reason):
            counters.add("records_refused")
            logger.notice("record refused", metadata: ["index": "\(index)", "why": "\(reason)"])
        case .cutBegun(let ticket, let result):
            // Nobody waits any more, and nobody else would let go of it.
            if !cuts.begun(ticket, result), case .success = result {
                parts?.volumes.post(.endCut)
            }
        case .snapshotTaken(let ticket, let taken): parts?.snapshots.taken(ticket, taken)
        case .failed(let error): stop(ExitCode.disk, "the volumes have stopped: \(error)")
        }
    }

    private func note(damage blocks: Int) {
        guard blocks > 0 else {
            return logger.notice("no block of the volumes here is damaged any more")
        }
        counters.add("damage_found")
        logger.error(
            "blocks of the volumes here are damaged: they are taken from other replicas",
            metadata: ["blocks": "\(blocks)"])
    }

    // From the peers.

    func receive(_ bytes: [UInt8], from node: NodeID, on lane: Lane) {
        guard let driver = parts?.driver else { return }
        switch lane {
        case .consensus:
            guard let letter = try? Letter(parsing: bytes), letter.from == node else {
                return counters.add("letters_refused")
            }
            driver.offer(.letter(letter))
        case .gossip:
            guard let message = try? GossipCodec.decode(bytes) else {
                return counters.add("gossip_refused")
            }
            driver.offer(.gossip(message, from: node))
        case .bulk where MendMessage.isOne(bytes): asked(bytes, by: node)
        case .bulk where bytes.first ?? 0 >= ResyncMessage.kindMin:
            guard let message = try? ResyncMessage(parsing: bytes) else {
                return counters.add("resync_refused")
            }
            parts?.volumes.offer(message, from: node)
        case .bulk:
            guard let note = try? Note(parsing: bytes) else {
                return counters.add("notes_refused")
            }
            driver.offer(.note(note, from: node))
        }
    }

    private func note(_ happening: Node.Happening) {
        switch happening {
        case .raft(let role, let term, let leader):
            logger.info(
                "raft",
                metadata: [
                    "role": "\(role)", "term": "\(term)",
                    "leader": "\(leader.map { "\($0)" } ?? "none")",
                ])
            if role == .preCandidate { counters.add("elections_stood") }
        case .steppedDown(.transferred(let target)):
            logger.info("leadership handed over", metadata: ["to": "\(target)"])
        case .steppedDown(let why):
            counters.add("stepped_down")
            logger.warning("leads no more", metadata: ["why": "\(why)"])
        case .replicaLost(let node, let acknowledged):
            counters.add("replicas_lost")
            keeper.note(
                .replicaLost, about: node, index: acknowledged, at: BootClock.unixMilliseconds)
            logger.critical(
                "a member lost writes that it had acknowledged: its disk was emptied or rolled back",
                metadata: ["node": "\(node)", "acknowledged": "\(acknowledged)"])
        case .leftBehind(let node, let index):
            counters.add("members_left_behind")
            logger.warning(
                "the log is no longer kept for a member: it will copy what it lacks",
                metadata: ["node": "\(node)", "through": "\(index)"])
        case .resync(isWhole: false):
            counters.add("resyncs")
            logger.warning("the log begins behind what the volumes here hold: a resync begins")
        case .resync(isWhole: true):
            logger.notice("the resync is complete: this is a replica again")
        case .contradicted(let found):
            counters.add("contradictions")
            keeper.note(
                .contradiction, about: found.leader, index: found.committed.index,
                at: BootClock.unixMilliseconds)
            logger.critical(
                "the leader contradicts what is committed here",
                metadata: [
                    "leader": "\(found.leader)", "term": "\(found.term)",
                    "committed": "\(found.committed)", "claimed": "\(found.claimed)",
                ])
        case .membershipRefused(let why):
            logger.warning("the members stay as they are", metadata: ["why": "\(why)"])
        case .membershipChanged(let members, let index):
            logger.notice("members", metadata: ["are": "\(members)", "since": "\(index)"])
        case .liveness(let node, let liveness):
            logger.notice("member", metadata: ["node": "\(node)", "is": "\(liveness)"])
        case .restarted(let node): logger.notice("member restarted", metadata: ["node": "\(node)"])
        case .conflict(let node):
            logger.error(
                "two processes live under one name: a cloned data directory?",
                metadata: ["node": "\(node)"])
        case .takeover(let takeover):
            var facts: Logger.Metadata = [
                "node": "\(takeover.to)", "epoch": "\(takeover.epoch)",
                "reason": "\(takeover.reason)",
                "at_unix_ms": "\(takeover.at.rawValue / 1_000_000)",
            ]
            if !takeover.phases.isEmpty {
                let phases = takeover.phases.map { "\($0.name) \($0.took)" }
                facts["phases"] = "\(phases.joined(separator: ", "))"
            }
            logger.notice("primary", metadata: facts)
        case .refused(let index, let refusal):
            logger.notice("refused", metadata: ["index": "\(index)", "why": "\(refusal)"])
        case .wished(let change):
            logger.notice("the members are to change", metadata: ["to": "\(change)"])
        case .wishCancelled(let change):
            logger.notice("a change of the members was taken back", metadata: ["of": "\(change)"])
        case .membersChanged(let change):
            logger.notice("the members have changed", metadata: ["by": "\(change)"])
        case .levelRaised(let level):
            parts?.transport.require(level)
            logger.notice(
                "the mesh has a new feature level, and older releases are refused from now on",
                metadata: ["level": "\(level)"])
        case .handBack(let to): logger.info("leadership offered", metadata: ["to": "\(to)"])
        case .handOver(let to): logger.notice("hand-over begins", metadata: ["to": "\(to)"])
        case .resigned(let epoch):
            logger.warning("acts no more as primary", metadata: ["epoch": "\(epoch)"])
        }
    }
}

extension Node.Halt {
    var code: Int32 {
        switch self {
        // Another program has to be installed: no restart mends it.
        case .unreadableBase, .unknownCommand, .levelAhead: ExitCode.config
        }
    }

    var explanation: String {
        switch self {
        case .unreadableBase(let index):
            "what was decided up to entry \(index) is told in a form that this release does not know: "
                + LevelAhead.remedy
        case .unknownCommand(let index):
            "entry \(index) holds a command that this release does not know: " + LevelAhead.remedy
        case .levelAhead(let ahead): ahead.description
        }
    }
}
