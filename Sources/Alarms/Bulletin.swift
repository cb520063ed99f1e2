package import Mesh

/// What tells one cluster file from another.
package struct ClusterPrint: Hashable, Sendable {
    /// Of members, addresses and regions.
    package let members: UInt64
    package let lease: Interval

    package init(members: UInt64, lease: Interval) {
        self.members = members
        self.lease = lease
    }
}

/// What a member tells the others for their operators; no decision of the mesh rests on it. Travels
/// in its gossip register, behind what the members themselves need.
package struct Bulletin: Hashable, Sendable {
    package static let version: UInt8 = 1
    package static let byteCountMax = 17 + Incidents.byteCountMax

    package var clusterFile: ClusterPrint
    package var incidents: Incidents

    package init(clusterFile: ClusterPrint, incidents: Incidents) {
        self.clusterFile = clusterFile
        self.incidents = incidents
    }

    /// Version u8, members u64, lease in nanoseconds u64, incidents; later versions append.
    package var encoded: [UInt8] {
        var bytes = [Self.version]
        bytes.append(littleEndian: clusterFile.members)
        bytes.append(littleEndian: clusterFile.lease.nanoseconds)
        return bytes + incidents.encoded
    }

    /// nil of a member whose release tells nothing, or what can't be read.
    package init?(parsing bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let version = try? reader.u8(), version >= Self.version,
            let members = try? reader.u64(), let lease = try? reader.u64(),
            let incidents = try? Incidents(reading: &reader)
        else { return nil }
        self.init(
            clusterFile: ClusterPrint(members: members, lease: Interval(nanoseconds: lease)),
            incidents: incidents)
    }
}
