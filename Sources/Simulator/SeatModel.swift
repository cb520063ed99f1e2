internal import Decisions
internal import Mesh
internal import Raft
internal import Record
internal import VolumeCore
internal import Wire

/// Who holds the primary's seat, worked out from the log once more and apart from `Decisions`: who
/// judges must not ask the judged.
struct SeatModel {
    private enum State {
        case vacant
        case held(renewal: LogIndex)
        case relinquished(at: LogIndex)
    }
    private var state = State.vacant
    private(set) var epoch = Epoch.zero
    private var holders: [Epoch: NodeID] = [:]
    private var renewed: Set<Epoch> = []
    /// Who may be promoted since the last change of members; nil before the first: all with whom the
    /// mesh began.
    private var data: Set<NodeID>?

    /// Whether `node` was promoted to `epoch`, and a renewal under it has committed.
    func isRenewed(_ epoch: Epoch, by node: NodeID) -> Bool {
        holders[epoch] == node && renewed.contains(epoch)
    }

    /// The next committed entry; tells when a write was carried out that must not be, or the reverse.
    mutating func follow(_ ruled: Ruled) -> String? {
        let entry = ruled.entry
        switch entry.kind {
        case .command: command(entry)
        case .blank, .membership, .write, .stream:
            let renews = renew(entry)
            enroll(entry)
            guard entry.kind != .write || renews == (ruled.ruling == .accepted) else {
                return
                    "only the present epoch writes: \(entry.position) of epoch \(entry.epoch) is "
                    + "ruled \(ruled.ruling) in epoch \(epoch)"
            }
        }
        return nil
    }

    private mutating func renew(_ entry: Entry) -> Bool {
        guard case .held = state, entry.epoch == epoch else { return false }
        state = .held(renewal: entry.index)
        renewed.insert(epoch)
        return true
    }

    /// Under a joint configuration who comes may be promoted already, and who goes still.
    private mutating func enroll(_ entry: Entry) {
        guard entry.kind == .membership,
            let members = try? Membership(parsing: Array(entry.payload))
        else { return }
        data = Set(members.voters.data + (members.outgoing?.data ?? []))
    }

    private mutating func command(_ entry: Entry) {
        switch (try? Command(parsing: entry.payload), state) {
        case (.promote(let node, epoch.next, let warrant), let state)
        where Self.isLawful(warrant, state) && data?.contains(node) != false:
            epoch = epoch.next
            holders[epoch] = node
            self.state = .held(renewal: entry.index)
        case (.relinquish(epoch), .held): state = .relinquished(at: entry.index)
        default: break
        }
    }

    private static func isLawful(_ warrant: Warrant, _ state: State) -> Bool {
        switch (warrant, state) {
        case (.firstPrimary, .vacant): true
        case (.leaseEnded(let measured), .held(let renewal)): measured == renewal
        case (.relinquished(let named), .relinquished(let at)): named == at
        default: false
        }
    }
}
