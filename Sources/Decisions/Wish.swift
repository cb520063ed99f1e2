package import Mesh

/// A node that is to become a member.
package struct Newcomer: Hashable, Sendable {
    package let node: NodeID
    package let region: RegionName
    package let isWitness: Bool

    package init(node: NodeID, region: RegionName, isWitness: Bool = false) {
        self.node = node
        self.region = region
        self.isWitness = isWitness
    }
}

/// What operators can wish of the members.
package enum MemberChange: Hashable, Sendable, CustomStringConvertible {
    case add(Newcomer)
    case remove(NodeID)
    /// In one step: at no time does one copy less count.
    case replace(NodeID, with: Newcomer)

    package var coming: Newcomer? {
        switch self {
        case .add(let newcomer), .replace(_, let newcomer): newcomer
        case .remove: nil
        }
    }

    package var leaving: NodeID? {
        switch self {
        case .remove(let node), .replace(let node, _): node
        case .add: nil
        }
    }

    package var description: String {
        func name(_ newcomer: Newcomer) -> String {
            (newcomer.isWitness ? "witness " : "node ") + "\(newcomer.node) in \(newcomer.region)"
        }
        return switch self {
        case .add(let newcomer): "add \(name(newcomer))"
        case .remove(let node): "remove node \(node)"
        case .replace(let node, let newcomer): "replace node \(node) by \(name(newcomer))"
        }
    }
}

/// A change of the members that was asked for and is not done.
package struct Wish: Hashable, Sendable {
    package let change: MemberChange
    /// The entry that asked for it.
    package let since: LogIndex
    /// The joint entry, once it is committed: the change can't be taken back from there on.
    package internal(set) var joint: LogIndex?

    package init(_ change: MemberChange, since: LogIndex, joint: LogIndex? = nil) {
        (self.change, self.since, self.joint) = (change, since, joint)
    }
}

/// Who votes and who listens, as a membership entry has it.
package struct Roll: Hashable, Sendable {
    /// Of a joint entry, the new half.
    package let data: [NodeID]
    package let learners: [NodeID]
    package let isJoint: Bool

    package init(data: [NodeID], learners: [NodeID] = [], isJoint: Bool = false) {
        (self.data, self.learners, self.isJoint) = (data, learners, isJoint)
    }
}
