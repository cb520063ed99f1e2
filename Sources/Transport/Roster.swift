package import Mesh

/// The members a node speaks with and where they listen.
package struct Roster: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package let node: NodeID
        package let region: RegionName
        package let host: String
        package let port: Int
        package init(node: NodeID, region: RegionName, host: String, port: Int) {
            self.node = node
            self.region = region
            self.host = host
            self.port = port
        }
    }

    /// In the order of their ids.
    package let entries: [Entry]

    package init(_ entries: [Entry]) { self.entries = entries.sorted { $0.node < $1.node } }

    package func entry(_ node: NodeID) -> Entry? { entries.first { $0.node == node } }
}

/// Decides whether a peer is who it must be. Pure, so that every refusal is tested without sockets.
struct Gate {
    let own: PeerName
    let roster: Roster
    let revoked: [NodeID]
    /// What a peer must speak at least: what the mesh has agreed on.
    var levelMin = FeatureLevel.lowest

    func with(roster: Roster) -> Gate {
        var gate = Gate(own: own, roster: roster, revoked: revoked)
        gate.levelMin = levelMin
        return gate
    }

    func with(revoked: [NodeID]) -> Gate {
        var gate = Gate(own: own, roster: roster, revoked: revoked)
        gate.levelMin = levelMin
        return gate
    }

    /// What a certificate alone decides, before the hello. `dialed` is whom we meant to reach.
    func judge(_ name: PeerName, dialed: NodeID?) -> Refusal? {
        guard name.cluster == own.cluster else {
            return Refusal(
                .wrongCluster, "certificate is of cluster \(name.cluster), not \(own.cluster)",
                peer: dialed)
        }
        guard let entry = roster.entry(name.node), name.node != own.node else {
            return Refusal(.unknownNode, "node \(name.node) is no peer of ours", peer: dialed)
        }
        guard dialed == nil || dialed == name.node else {
            return Refusal(
                .wrongName, "node \(name.node) answers at the address of another", peer: dialed)
        }
        guard !revoked.contains(name.node) else {
            return Refusal(.revokedNode, "node \(name.node) is revoked", peer: name.node)
        }
        guard entry.region == name.region else {
            return Refusal(
                .wrongName, "certificate says region \(name.region), the roster \(entry.region)",
                peer: name.node)
        }
        // The lower id dials: else two connections would compete for one link.
        guard dialed != nil || name.node < own.node else {
            return Refusal(
                .wrongDirection, "node \(name.node) has the higher id and dialed", peer: name.node)
        }
        return nil
    }

    /// What the hello says must be what the certificate says.
    func judge(_ hello: Hello, provedBy name: PeerName, dialed: Lane?) -> Refusal? {
        guard hello.versions.overlaps(Hello.versions) else {
            return Refusal(
                .wrongVersion,
                "speaks versions \(hello.versions), we speak \(Hello.versions)", peer: name.node)
        }
        guard hello.cluster == name.cluster else {
            return Refusal(
                .wrongCluster, "hello is of cluster \(hello.cluster), not \(own.cluster)",
                peer: name.node)
        }
        guard hello.node == name.node, hello.region == name.region else {
            return Refusal(
                .wrongName,
                "hello says node \(hello.node) of \(hello.region), the certificate \(name)",
                peer: name.node)
        }
        guard dialed == nil || dialed == hello.lane else {
            return Refusal(.wrongHello, "hello is of lane \(hello.lane)", peer: name.node)
        }
        guard hello.featureLevel >= levelMin.rawValue else {
            return Refusal(
                .wrongVersion,
                "node \(name.node) speaks feature level \(hello.featureLevel), and this mesh is at "
                    + "\(levelMin): install the release that the others run on it (docs/upgrade.md)",
                peer: name.node, featureLevel: hello.featureLevel)
        }
        return nil
    }
}
