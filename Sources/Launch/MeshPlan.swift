package import Alarms
internal import Decisions
package import Gossip
package import Mesh
package import Raft
internal import Schedule
package import Settings
package import Transport

/// What the configuration says of the mesh, in the words of those who need it.
extension ClusterSettings {
    /// Data members in the order in which they should be primary.
    package var order: [NodeID] {
        let regions = [primaryRegion] + secondaryRegions
        func rank(_ member: Member) -> Int {
            regions.firstIndex(of: member.region) ?? regions.count
        }
        return dataMembers.sorted { (rank($0), $0.id) < (rank($1), $1.id) }.map(\.id)
    }

    /// A witness votes only beside an even number of data members: with an odd one it would raise
    /// the quorum and add nothing (consensus.md, "The witness").
    package var membership: Membership {
        let votes = dataMembers.count % 2 == 0
        return Membership(
            voters: Electorate(data: dataMembers.map(\.id), witness: votes ? witness?.id : nil),
            preferred: order)
    }

    package var roster: Roster {
        Roster(
            members.map {
                Roster.Entry(
                    node: $0.id, region: $0.region, host: $0.address.host,
                    port: Int($0.address.port))
            })
    }

    package var peers: [Gossip.Peer] { members.map(\.peer) }

    /// What has to be the same on every node. Of two files that differ, the prints do as well, but for
    /// a chance that an alarm may be left to (FNV-1a).
    package var print: ClusterPrint {
        let regions = ([primaryRegion] + secondaryRegions).map(\.text)
        let each = members.map { "\($0.id) \($0.region) \($0.role) \($0.address)" }
        // Nothing of it where there is none: a file without has the same print on releases that know of none.
        let plan = backups.map { ["\($0.runs)", $0.full.map { "\($0)" } ?? ""] } ?? []
        let text = (["\(cluster)"] + each + regions + plan).joined(separator: "\n")
        let members = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { hash, byte in
            (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return ClusterPrint(members: members, lease: lease.length)
    }
}

extension Electorate {
    func without(_ node: NodeID) -> Electorate { Electorate(data: data.filter { $0 != node }) }
}

extension Member {
    package var peer: Gossip.Peer {
        Gossip.Peer(node: id, region: region, role: role == .witness ? .witness : .data)
    }
}

extension AgentSettings {
    package var identity: TransportIdentity {
        TransportIdentity(
            name: PeerName(cluster: cluster.cluster, region: member.region, node: member.id),
            featureLevel: UInt32(FeatureLevel.spoken.rawValue))
    }

    /// Every member but this one.
    package var others: [Member] { cluster.members.filter { $0.id != member.id } }

    package var credentials: CredentialPaths {
        CredentialPaths(ca: node.tls.ca, certificate: node.tls.certificate, key: node.tls.key)
    }
}
