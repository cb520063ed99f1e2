internal import Decisions
package import Mesh
internal import Raft
package import Record
internal import Voting
internal import Wire

extension Node {
    /// What stands for the log up to `least` or beyond, for a peer that lost its own base, or an entry
    /// that no log holds any more.
    package func base(atLeast least: LogIndex) -> Base? {
        voter.raft.base(
            atLeast: least, handedOut: decisions.appliedIndex, state: decisions.encoded)
    }
}
