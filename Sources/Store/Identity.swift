package import Mesh

/// Whose data a directory holds: a copy that is started under another node's name would vote with
/// what that one promised, and a directory without an identity has forgotten all promises.
package struct Identity: Hashable, Sendable {
    package static let fileName = "identity"
    static let bytesMax = 4096

    package let cluster: ClusterID
    package let node: NodeID
    /// nil in a directory from before there were stores.
    package let store: StoreID?
    /// Those whose majority decided when the store was made, each with its role; nil as above. A
    /// node that counted another majority than its peers could elect itself.
    package let members: String?
    /// Whether the journal has had segments: from then on one without any has lost them.
    package var hasJournal: Bool

    package init(
        cluster: ClusterID, node: NodeID, store: StoreID?, members: String? = nil,
        hasJournal: Bool = false
    ) {
        self.cluster = cluster
        self.node = node
        self.store = store
        self.members = members
        self.hasJournal = hasJournal
    }

    /// The file's contents: docs/formats/store.md.
    package var text: String {
        var lines = ["cluster \(cluster) node \(node)"]
        if let store { lines.append("store \(store)") }
        if let members { lines.append(Self.membersWord + members) }
        if hasJournal { lines.append(Self.journalLine) }
        return lines.map { $0 + "\n" }.joined()
    }

    private static let journalLine = "journal begun"
    private static let membersWord = "members "

    /// nil unless `text` is to the byte what `text` would say: nobody but this module writes it.
    package init?(parsing text: String) {
        var lines = text.split(separator: "\n")[...]
        let words = lines.popFirst()?.split(separator: " ") ?? []
        guard words.count == 4, let cluster = ClusterID(String(words[1])),
            let node = UInt64(words[3])
        else { return nil }
        let store = lines.first.flatMap { $0.hasPrefix("store ") ? StoreID($0.dropFirst(6)) : nil }
        let members = lines.first { $0.hasPrefix(Self.membersWord) }
        self.init(
            cluster: cluster, node: NodeID(node), store: store,
            members: members.map { String($0.dropFirst(Self.membersWord.count)) },
            hasJournal: lines.last.map { $0 == Self.journalLine } ?? false)
        guard self.text == text else { return nil }
    }
}
