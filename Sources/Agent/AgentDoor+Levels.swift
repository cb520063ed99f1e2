import Admin
import Mesh
import Transport
import Voting

/// What keeps nodes of an older release out.
extension AgentDoor {
    /// Of a newcomer that was heard, or was refused at its hello.
    func checkLevel(of node: NodeID) throws(AdminRefused) {
        let mesh = view.level
        let told = view.peers.first { $0.node == node }?.report.map { UInt32($0.speaks.rawValue) }
        let greeted = parts.transport.refusals.lastByPeer[node]?.featureLevel
        guard let speaks = greeted ?? told, speaks < mesh.rawValue else { return }
        throw .member(
            .lowLevel(node: node.rawValue, speaks: UInt64(speaks), mesh: UInt64(mesh.rawValue)))
    }
}
