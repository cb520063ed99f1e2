internal import Gossip
package import Mesh
internal import VolumeCore
internal import Voting

/// Blocks of the volumes here that are damaged, and whom to ask for them (ADR 8).
extension Node {
    /// Other replicas are asked for some.
    var wantsBlocks: Bool { damagedBlocks > 0 || distrustedBlocks > 0 }

    mutating func noteWanted(_ note: (inout Node) -> Void) {
        let wanted = wantsBlocks
        note(&self)
        if wantsBlocks, !wanted { pullAt = now }
    }

    /// The whole replica with whose bytes those here are compared for now.
    package var otherReplica: NodeID? { resync == nil ? mender : nil }

    /// One whole replica after the other: whoever has damage at the same place says nothing.
    var mender: NodeID? {
        let able = settings.members.filter { member in
            !member.isWitness && member.node != seat
                && voter.gossip.liveness(of: member.node) == .alive && !isCopying(member.node)
        }
        guard !able.isEmpty else { return nil }
        let turns = now.nanoseconds / VolumeLimits.damageTurn.nanoseconds
        return able[Int(turns % UInt64(able.count))].node
    }

    private func isCopying(_ node: NodeID) -> Bool {
        voter.gossip.healthMap[node].flatMap { Report(parsing: $0.bytes) }?.resync != nil
    }
}
