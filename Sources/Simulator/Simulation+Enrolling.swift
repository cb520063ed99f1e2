internal import Decisions
internal import Mesh
internal import Raft
internal import Record

/// What must hold of those who vote, seen from outside.
extension Simulation {
    /// A leader appends a membership entry.
    mutating func checkMembership(_ entry: Entry, _ at: Int) {
        guard machines[at].role == .leader, machines[at].term == entry.term,
            let membership = try? Membership(parsing: Array(entry.payload))
        else { return }
        recruiting.note(membership, at: entry.index)
        for node in membership.members where recruiting.left.contains(node) {
            check("no id is used twice: \(entry.position) names node \(node), who had left")
        }
        for node in membership.voters.all where recruiting.takenBack.contains(node) {
            check(
                "what was taken back is not done: \(entry.position) gives node \(node) a vote")
        }
        let isEven = membership.voters.data.count % 2 == 0
        if plan.shape.hasWitness, isEven != (membership.voters.witness != nil) {
            check(
                "the witness votes beside an even number: \(entry.position) has "
                    + "\(membership.voters.data.count) data voters and "
                    + "\(membership.voters.witness == nil ? "no" : "a") witness")
        }
        guard let outgoing = membership.outgoing else { return }
        checkJoint(entry, membership.voters, outgoing, at)
    }

    /// Protocol rule 1, and what a newcomer has to hold.
    private mutating func checkJoint(
        _ entry: Entry, _ incoming: Electorate, _ outgoing: Electorate, _ at: Int
    ) {
        let commit = machines[at].raft { $0.commitIndex } ?? .zero
        if commit.next != entry.index {
            check(
                "a joint entry waits for all before it: node \(machines[at].id) appends "
                    + "\(entry.position) and has committed \(commit)")
        }
        for node in incoming.data where !outgoing.data.contains(node) {
            let newcomer = machines[place(of: node)]
            if newcomer.isPartial {
                check(
                    "who gets a vote holds the volumes: \(entry.position) gives one to node "
                        + "\(node), which still copies them")
            }
        }
    }

    /// A membership entry takes effect for good.
    mutating func enroll(_ entry: Entry) {
        guard entry.index > enrolled, let next = try? Membership(parsing: Array(entry.payload))
        else { return }
        (enrolled, enrolledAt) = (entry.index, time)
        defer { lastEnrolled = next }
        guard let former = lastEnrolled else { return }
        // Who still votes in the outgoing half goes with the final entry.
        for node in former.members where !next.isMember(node) && !standsBy(node) {
            recruiting.left.insert(node)
        }
    }

    /// The witness's vote may come back with the number of data members.
    private func standsBy(_ node: NodeID) -> Bool { machines[place(of: node)].isWitness }
}
