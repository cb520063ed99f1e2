package import Mesh

/// A new mesh that goes on with what another one had decided, of which nothing but a repository is left (ADR 17).
extension Decisions {
    /// Epochs between those of the old mesh and the first one of the new: so many takeovers nobody saw in the repository at most.
    package static let epochsApart: UInt64 = 1_000_000
    /// A generation of writes has 32 bits for its epoch (`ExportGeneration`), and the new mesh needs some of them.
    package static let epochBefore = Epoch(UInt64(UInt32.max) - 2 * epochsApart)

    /// The epoch that the new mesh's first one follows: a round number, so that people see it; nil where there is none left.
    package static func refoundingEpoch(above epoch: Epoch) -> Epoch? {
        guard epoch < epochBefore else { return nil }
        return Epoch((epoch.rawValue / epochsApart + 2) * epochsApart)
    }

    /// The volumes with their ids, and what is known of backups; of members, sessions and the seat nothing: who had them is gone,
    /// and must not be waited for. The first of `seats` stands for who gave the seat up, so that nobody waits for a lease.
    package func refounded(
        by seats: [Seat], first: NodeID, witness: Seat?, epoch: Epoch
    ) -> Decisions {
        var image = image
        (image.seats, image.witness) = (seats.sorted { $0.node < $1.node }, witness)
        (image.learners, image.former, image.wish, image.sessions) = ([], [], nil, [])
        if let region = seats.first(where: { $0.node == first })?.region {
            let primary = Primary(node: first, region: region, epoch: epoch, since: appliedIndex)
            image.tenure = .relinquished(primary, at: appliedIndex)
        }
        if let region = preferred, !seats.contains(where: { $0.region == region }) {
            image.preferred = nil
        }
        image.backups.claim = nil
        (image.backups.attempts, image.backups.failure, image.backups.failures) = (nil, nil, 0)
        return Decisions(restoring: image)
    }
}
