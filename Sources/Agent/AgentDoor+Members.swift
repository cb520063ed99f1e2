import Admin
import Alarms
import Decisions
import Mesh
import Node
import Raft
import Settings

/// What operators wish of the members, and what has become of it.
extension AgentDoor {
    func changeMembers(_ request: MembersRequest) async throws(AdminRefused)
        -> MembersChangeReport
    {
        let change = try change(request)
        let answer = await ask(.command(.changeMembers(change)))
        switch try outcome(answer, doing: "\(change)") {
        case .wished(let change): return MembersChangeReport(change: "\(change)", isDone: false)
        case .membersChanged(let change):
            return MembersChangeReport(change: "\(change)", isDone: true)
        default: throw .node(.mishap(why: "an answer to another question"))
        }
    }

    func cancelMembers() async throws(AdminRefused) -> MembersChangeReport {
        let answer = await ask(.command(.cancelMembers))
        guard case .cancelled(let change) = try outcome(answer, doing: "take the change back")
        else { throw .node(.mishap(why: "an answer to another question")) }
        return MembersChangeReport(change: "\(change)", isDone: true)
    }

    private func change(_ request: MembersRequest) throws(AdminRefused) -> MemberChange {
        let leaving = request.leaving.map { NodeID($0) }
        guard let coming = try newcomer(request) else {
            guard let leaving else { throw .member(.nobody) }
            return .remove(leaving)
        }
        return leaving.map { .replace($0, with: coming) } ?? .add(coming)
    }

    /// Its region and its role are what the cluster file here says.
    private func newcomer(_ request: MembersRequest) throws(AdminRefused) -> Newcomer? {
        guard let node = request.coming else { return nil }
        guard let member = settings.cluster.members.first(where: { $0.id.rawValue == node }) else {
            throw .member(.notInFile(node: node))
        }
        let isWitness = member.role == .witness
        guard isWitness == request.witness else {
            throw .member(.roleDiffers(node: node, isWitness: request.witness))
        }
        try checkLevel(of: member.id)
        return Newcomer(node: member.id, region: member.region, isWitness: isWitness)
    }

    func wish(_ view: NodeView) -> WishReport? {
        view.wish.map { wish in
            WishReport(
                change: "\(wish.change)", coming: wish.change.coming?.node.rawValue,
                leaving: wish.change.leaving?.rawValue, since: wish.since.rawValue,
                isJoint: wish.joint != nil, waitsFor: view.waitsFor.map { "\($0)" },
                stoodSeconds: view.stoodFor.map { $0.nanoseconds / 1_000_000_000 })
        }
    }
}

extension NodeView {
    /// As far as the log here tells.
    func vote(of node: NodeID) -> MemberReport.Vote {
        if membership.votes(node) { return .votes }
        if membership.isLearner(node) { return .learns }
        return witness == node ? .standsBy : .none
    }

    /// Whether it is one of the members, or on the way to be one.
    func counts(_ node: NodeID) -> Bool {
        vote(of: node) != .none || wish?.change.coming?.node == node
    }

    var ownStanding: Sight.Membership {
        switch standing {
        case .voter, .learner: .member
        case .awaited: .awaited
        case .none: .removed
        }
    }
}

extension MemberRefused {
    /// nil for what tells nothing of members.
    init?(_ refusal: Refusal) {
        switch refusal {
        case .wishPending(let change): self = .changing(change: "\(change)")
        case .noWish: self = .notChanging
        case .wishIsJoint(let change): self = .isJoint(change: "\(change)")
        case .memberExists(let node): self = .exists(node: node.rawValue)
        case .memberFormer(let node): self = .former(node: node.rawValue)
        case .memberUnknown(let node): self = .unknown(node: node.rawValue, known: [])
        case .memberIsPrimary(let node): self = .isPrimary(node: node.rawValue)
        case .lastDataMember(let node): self = .lastData(node: node.rawValue)
        case .otherRole(let node): self = .otherRole(node: node.rawValue)
        case .witnessExists(let node): self = .witnessExists(node: node.rawValue)
        case .tooManyMembers(let limit): self = .tooMany(limit: limit)
        case .tooManyFormers(let limit): self = .tooManyFormers(limit: limit)
        default: return nil
        }
    }
}
