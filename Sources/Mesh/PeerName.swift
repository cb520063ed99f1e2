/// Who a certificate says its holder is, as its one URI name spells it:
/// `holdfast://<cluster>/<region>/<node>`. Spelled in one way only, so that equal text and equal
/// names are the same thing.
package struct PeerName: Hashable, Sendable, CustomStringConvertible {
    package enum Refused: Error, Hashable, Sendable {
        /// The certificate carries no `holdfast://` name.
        case absent
        /// It carries two or more: which one is meant would be a guess.
        case several
        /// It carries one that isn't spelled as above.
        case misspelled(String)
    }

    package static let scheme = "holdfast://"

    package let cluster: ClusterID
    package let region: RegionName
    package let node: NodeID

    package init(cluster: ClusterID, region: RegionName, node: NodeID) {
        self.cluster = cluster
        self.region = region
        self.node = node
    }

    /// Picks the one name among a certificate's URI names.
    package init(amongURIs uris: [String]) throws(Refused) {
        let ours = uris.filter { $0.hasPrefix(Self.scheme) }
        guard let text = ours.first else { throw .absent }
        guard ours.count == 1 else { throw .several }
        let parts = text.dropFirst(Self.scheme.count)
            .split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3,
            let cluster = ClusterID(String(parts[0])),
            let region = RegionName(String(parts[1])),
            let node = UInt64(parts[2])
        else { throw .misspelled(text) }
        self.init(cluster: cluster, region: region, node: NodeID(node))
        // `+1`, `01` and upper-case digits parse as well, but are another spelling.
        guard description == text else { throw .misspelled(text) }
    }

    package var description: String { "\(Self.scheme)\(cluster)/\(region)/\(node)" }
}
