internal import Admin
internal import Mesh

/// Of who is a member, and of a change that does not come nearer.
extension Sight {
    /// What this node is to its mesh, as far as its own log tells.
    package enum Membership: Hashable, Sendable {
        case member
        /// It never was one, and waits to be fed.
        case awaited
        case removed
    }

    /// A change of the members that does not come nearer for so long needs a person: copying, which
    /// may take hours, does come nearer.
    package static let wishStoodSecondsMax: UInt64 = 60

    var memberAlarms: [Alarm] { standingAlarms + wishAlarms }

    private var standingAlarms: [Alarm] {
        switch membership {
        case .member: []
        case .removed:
            [
                alarm(
                    .notAMember, .critical,
                    "this node is no member of the mesh any more: it votes on nothing and serves "
                        + "nothing",
                    do:
                        "stop it, and take its entry out of the cluster files; its id is used up, so "
                        + "a node in its place needs a new one (docs/members.md)")
            ]
        case .awaited:
            [
                alarm(
                    .notAMember, .info,
                    "this node is no member yet: it founds nothing and waits to be made one",
                    do:
                        "`holdfast members add \(own)`, or `replace OLD --with \(own)`, on a member "
                        + "(docs/members.md)")
            ]
        }
    }

    private var wishAlarms: [Alarm] {
        guard let wish, let stood = wish.stoodSeconds, stood >= Self.wishStoodSecondsMax else {
            return []
        }
        return [
            alarm(
                .membersStand, .warning,
                "the mesh is to \(wish.change), and comes no nearer to it for \(stood) s: "
                    + (wish.waitsFor ?? "it is not known why"),
                do: wish.isJoint
                    ? "bring the members of both sides up: each has to decide by its majority"
                    : "see to that, or take the change back with `holdfast members cancel`")
        ]
    }

    func strangerAlarms(_ peer: Peer, _ name: String) -> [Alarm] {
        [
            alarm(
                .notAMember, .info, "\(name) stands in the cluster file and is no member",
                do: "take its entry out of every cluster file if it left for good; or make it a "
                    + "member with `holdfast members add \(peer.node)`")
        ]
    }
}
