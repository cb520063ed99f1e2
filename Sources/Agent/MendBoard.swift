import Dispatch
import Driver
import Gossip
import Journal
import JournalCore
import Launch
import Logging
import Mending
import Mesh
import NIOConcurrencyHelpers
import Node
import Record
import Transport

/// Where the parts of a mend meet.
final class MendBoard: Sendable {
    struct Parts: Sendable {
        let driver: Driver<MendingMember>
        let transport: Transport
    }
    private struct Connected: Sendable {
        let parts: Parts
        let finished: @Sendable (Mending.Outcome) -> Void
    }

    private let mend: NIOLockedValueBox<LogMend<FileDisk>>
    private let incarnations: IncarnationFile
    private let logger: Logger
    private let connected = NIOLockedValueBox<Connected?>(nil)
    private let desk = NIOLockedValueBox(BaseDesk())
    private let files = DispatchQueue(label: "holdfast.mend")

    init(_ mend: LogMend<FileDisk>, _ incarnations: IncarnationFile, _ logger: Logger) {
        self.mend = NIOLockedValueBox(mend)
        self.incarnations = incarnations
        self.logger = logger
    }

    func connect(_ parts: Parts, _ finished: @escaping @Sendable (Mending.Outcome) -> Void) {
        connected.withLockedValue { $0 = Connected(parts: parts, finished: finished) }
    }

    private var parts: Parts? { connected.withLockedValue { $0?.parts } }

    func carryOut(_ effects: [MendingMember.Effect]) {
        guard let parts else { return }
        for effect in effects { carryOut(effect, parts) }
    }

    private func carryOut(_ effect: MendingMember.Effect, _ parts: Parts) {
        switch effect {
        case .gossip(.send(let message, let to)): send(message, to, parts)
        case .gossip(.persist(let persist)):
            let incarnations = incarnations
            files.async {
                do { try incarnations.persist(persist.incarnation) } catch {
                    stop(ExitCode.disk, "\(error)")
                }
                for letter in persist.releases { self.send(letter.message, letter.to, parts) }
                parts.driver.post(.incarnationPersisted(persist.incarnation))
            }
        case .gossip: break
        case .mend(.send(let message, let to)):
            _ = parts.transport.send(message.encoded, to: to, lane: .bulk)
        case .mend(.restore(let entry)):
            write { mend throws(JournalError) in _ = try mend.restore(entry) }
        case .mend(.restoreBase(let base)):
            write { mend throws(JournalError) in _ = try mend.restore(base) }
        case .over(let outcome):
            write { mend throws(JournalError) in try mend.sync() }
            let finished = connected.withLockedValue { $0?.finished }
            files.async { finished?(outcome) }
        }
    }

    private func send(_ message: Gossip.Message, _ to: NodeID, _ parts: Parts) {
        _ = parts.transport.send(GossipCodec.encode(message), to: to, lane: .gossip)
    }

    private func write(
        _ deed: @escaping @Sendable (inout LogMend<FileDisk>) throws(JournalError) -> Void
    ) {
        files.async {
            self.mend.withLockedValue { mend in
                do throws(JournalError) { try deed(&mend) } catch {
                    stop(ExitCode.disk, "the log can't be mended: \(error)")
                }
            }
        }
    }

    func receive(_ bytes: [UInt8], from node: NodeID, on lane: Lane) {
        guard let parts else { return }
        switch lane {
        // Raft has not begun.
        case .consensus: break
        case .gossip:
            guard let message = try? GossipCodec.decode(bytes) else { return }
            parts.driver.offer(.gossip(message, from: node))
        case .bulk:
            guard MendMessage.isOne(bytes), let message = try? MendMessage(parsing: bytes) else {
                return
            }
            received(message, node, parts)
        }
    }

    /// Other logs may be damaged as well, at other places.
    private func received(_ message: MendMessage, _ node: NodeID, _ parts: Parts) {
        switch message {
        case .give, .say, .basePiece: parts.driver.offer(.mend(message, from: node))
        case .ask(let session, let entries):
            write { mend throws(JournalError) in
                for answer in try mend.answers(to: entries, session) {
                    _ = parts.transport.send(answer.encoded, to: node, lane: .bulk)
                }
            }
        case .askBase(let least, let wanted, let offset):
            let own = mend.withLockedValue { $0.ownBase }
            let answer = desk.withLockedValue {
                $0.answer(atLeast: least, of: wanted, offset: offset) { own }
            }
            guard let answer else { return }
            _ = parts.transport.send(answer.encoded, to: node, lane: .bulk)
        }
    }

    /// Returns once every write that was begun is done.
    func settle() { files.sync {} }

    func closedDisk() -> FileDisk { mend.withLockedValue { $0.close() } }
}

extension LogMend {
    fileprivate mutating func answers(
        to entries: [EntryIdentity], _ session: MendSession
    ) throws(JournalError) -> [MendMessage] {
        var answers: [MendMessage] = []
        var left = MendMessage.giveByteCountMax
        for entry in entries where left > 0 {
            switch try lookUp(entry) {
            case .holds(let found):
                left -= found.bytes.count
                answers.append(.give(found))
            case .lacks: answers.append(.say(session, .lacks, [entry]))
            case .compacted: answers.append(.say(session, .compacted, [entry]))
            case .damaged: break
            }
        }
        return answers
    }
}
