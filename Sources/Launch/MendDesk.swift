internal import JournalCore
package import Mending
package import Mesh
internal import NIOConcurrencyHelpers
package import Record

/// Gives members whose logs are damaged what this one's log has of what they lack.
package final class MendDesk: Sendable {
    private let keeper: LogKeeper
    private let send: @Sendable (MendMessage, NodeID) -> Void
    /// Whom it answers just now: who asks again meanwhile gets no second answer.
    private let served = NIOLockedValueBox<Set<NodeID>>([])
    private let bases = NIOLockedValueBox(BaseDesk())

    package init(_ keeper: LogKeeper, send: @escaping @Sendable (MendMessage, NodeID) -> Void) {
        self.keeper = keeper
        self.send = send
    }

    /// `inLog` is what Raft holds of it, be it on the disk yet or not.
    package func answer(
        _ entries: [EntryIdentity], _ session: MendSession, to node: NodeID,
        inLog: Set<EntryIdentity>
    ) {
        guard served.withLockedValue({ $0.insert(node).inserted }) else { return }
        let question = Question(session: session, node: node, inLog: inLog)
        answer(entries[...], question, left: MendMessage.giveByteCountMax)
    }

    /// `make` gives a base at the index or above, where there is one.
    package func answerBase(
        atLeast least: LogIndex, of wanted: BaseIdentity, offset: UInt64, to node: NodeID,
        make: () -> Base?
    ) {
        let answer = bases.withLockedValue {
            $0.answer(atLeast: least, of: wanted, offset: offset, make: make)
        }
        if let answer { send(answer, node) }
    }

    private struct Question: Sendable {
        let session: MendSession
        let node: NodeID
        let inLog: Set<EntryIdentity>
    }

    /// One read at a time: between two of them the log's own writes have their turn.
    private func answer(_ entries: ArraySlice<EntryIdentity>, _ question: Question, left: Int) {
        guard let entry = entries.first, left > 0 else {
            return served.withLockedValue { _ = $0.remove(question.node) }
        }
        keeper.lookUp(entry) { result in
            var left = left
            switch result {
            case .success(.holds(let found)):
                left -= found.bytes.count
                self.send(.give(found), question.node)
            case .success(.lacks) where !question.inLog.contains(entry):
                self.send(.say(question.session, .lacks, [entry]), question.node)
            case .success(.compacted):
                self.send(.say(question.session, .compacted, [entry]), question.node)
            case .success(.lacks), .success(.damaged), .failure: break
            }
            self.answer(entries.dropFirst(), question, left: left)
        }
    }
}
