import Admin
import Decisions
import Mesh

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
