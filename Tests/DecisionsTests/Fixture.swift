import Decisions
import Mesh

let east = RegionName("us-east-1") ?? { preconditionFailure("a lawful name") }()
let west = RegionName("us-west-2") ?? { preconditionFailure("a lawful name") }()

extension Decisions {
    static let pair = Decisions(seats: [
        Seat(node: NodeID(2), region: west), Seat(node: NodeID(1), region: east),
    ])

    /// Applies at the next index.
    mutating func next(
        _ deed: Deed, epoch: UInt64 = 0, session: UInt64 = 0, sequence: UInt64 = 0
    ) -> Outcome {
        apply(
            Step(
                index: appliedIndex.next, epoch: Epoch(epoch), session: SessionID(session),
                sequence: sequence, deed: deed))
    }

    mutating func promote(_ node: UInt64, _ epoch: UInt64, _ warrant: Warrant) -> Outcome {
        next(.command(.promote(node: NodeID(node), epoch: Epoch(epoch), warrant: warrant)))
    }
}

extension Outcome {
    var refusal: Refusal? {
        if case .refused(let refusal) = self { refusal } else { nil }
    }
}
