internal import Decisions
internal import Mesh
internal import SwiftProtobuf

/// Members, as the log's commands and the snapshots have them.
extension ChangeMembersCommand {
    init(_ change: MemberChange) {
        self.init()
        if let newcomer = change.coming {
            coming = NewcomerPayload.with {
                $0.node = newcomer.node.rawValue
                $0.region = newcomer.region.text
                $0.witness = newcomer.isWitness
            }
        }
        leaving = change.leaving?.rawValue ?? 0
    }
}

extension MemberChange {
    init(_ command: ChangeMembersCommand) throws(PayloadRefused) {
        let leaving = command.leaving == 0 ? nil : NodeID(command.leaving)
        let coming = command.hasComing ? try Newcomer(command.coming) : nil
        switch (leaving, coming) {
        case (nil, let newcomer?): self = .add(newcomer)
        case (let node?, nil): self = .remove(node)
        case (let node?, let newcomer?): self = .replace(node, with: newcomer)
        case (nil, nil): throw .missing(field: "coming")
        }
    }
}

extension Newcomer {
    fileprivate init(_ payload: NewcomerPayload) throws(PayloadRefused) {
        guard payload.node > 0 else { throw .missing(field: "coming.node") }
        self.init(
            node: NodeID(payload.node), region: try RegionName(checked: payload.region),
            isWitness: payload.witness)
    }
}

extension WishImage {
    fileprivate init(_ wish: Wish) {
        self.init()
        change = ChangeMembersCommand(wish.change)
        since = wish.since.rawValue
        joint = wish.joint?.rawValue ?? 0
    }
}

extension Wish {
    init(_ image: WishImage) throws(PayloadRefused) {
        self.init(
            try MemberChange(image.change), since: LogIndex(image.since),
            joint: image.joint == 0 ? nil : LogIndex(image.joint))
    }
}

extension SeatImage {
    init(_ seat: Decisions.Seat) {
        self.init()
        (node, region) = (seat.node.rawValue, seat.region.text)
    }
}

extension Decisions.Seat {
    init(_ image: SeatImage) throws(PayloadRefused) {
        self.init(node: NodeID(image.node), region: try RegionName(checked: image.region))
    }
}

extension MembersImage {
    init(_ image: Decisions.Image) {
        self.init()
        if let witness = image.witness { self.witness = SeatImage(witness) }
        learners = image.learners.map(\.rawValue)
        former = image.former.map(\.rawValue)
        if let wish = image.wish { self.wish = WishImage(wish) }
    }

    /// Nobody has two roles, or came back under an id that was used up.
    init(checked image: DecisionsImage) throws(PayloadRefused) {
        let isBarred = image.members.count == 2 && image.members[1] == MembersImage()
        guard image.members.count <= 1 || isBarred else {
            throw .unlawful(field: "members", value: "given twice")
        }
        self = image.members.first ?? MembersImage()
        try Decisions.checkOrder(learners, "learners")
        try Decisions.checkOrder(former, "former")
        // No wish is taken at the limit; those under way may still bring some over it.
        let formersMax = Decisions.formersMax + Decisions.membersMax
        try Decisions.checkCount(former.count, formersMax, "former")
        try Decisions.checkCount(learners.count, Decisions.membersMax, "learners")
        let present = image.seats.map(\.node) + (hasWitness ? [witness.node] : []) + learners
        let all = present + former
        guard Set(all).count == all.count else {
            throw .unlawful(field: "members", value: "one of two roles")
        }
        guard hasWish else { return }
        let (coming, leaving) = (wish.change.coming.node, wish.change.leaving)
        guard !former.contains(coming), leaving == 0 || present.contains(leaving) else {
            throw .unlawful(field: "wish", value: "of one who is no member")
        }
        // Who leaves is remembered, and never comes back.
        guard coming != leaving || leaving == 0 else {
            throw .unlawful(field: "wish", value: "to replace a member by itself")
        }
        guard wish.since <= image.appliedIndex, wish.joint <= image.appliedIndex else {
            throw .unlawful(field: "wish", value: "from behind what was applied")
        }
    }
}
