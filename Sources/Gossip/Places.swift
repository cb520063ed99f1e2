import Mesh

/// Where each member stands among all, which are sorted. Asked several times with every message: to
/// halve a few numbers costs a fifth of what a hash does.
struct Places: Sendable {
    private let nodes: [NodeID]

    /// Sorted, each once.
    init(_ nodes: [NodeID] = []) { self.nodes = nodes }

    subscript(node: NodeID) -> Int? {
        var (low, high) = (0, nodes.count)
        while low < high {
            let middle = (low + high) / 2
            if nodes[middle] < node { low = middle + 1 } else { high = middle }
        }
        return low < nodes.count && nodes[low] == node ? low : nil
    }
}
