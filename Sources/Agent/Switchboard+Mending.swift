import Driver
import Launch
import Mending
import Mesh
import Node
import Raft
import Voting

extension Switchboard {
    /// A member's log is damaged, and this one may hold what it lacks.
    func asked(_ bytes: [UInt8], by node: NodeID) {
        guard let parts, let message = try? MendMessage(parsing: bytes) else {
            return counters.add("mend_messages_refused")
        }
        switch message {
        case .ask(let session, let entries):
            let inLog = parts.driver.inspect { $0.voter.raft.held(of: entries) }
            parts.desk.answer(entries, session, to: node, inLog: inLog)
        case .askBase(let least, let wanted, let offset):
            parts.desk.answerBase(atLeast: least, of: wanted, offset: offset, to: node) {
                parts.driver.inspect { $0.base(atLeast: least) }
            }
        // Answers that come when the log is whole already.
        case .give, .say, .basePiece: break
        }
    }
}
