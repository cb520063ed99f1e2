/// Whether a volume may be deleted where it is asked.
///
/// Clients are connected to the acting primary alone, so no other node can tell that there are none.
package struct VolumeDeletion: Hashable, Sendable {
    /// Whom the mesh agreed on, and whether the node that is asked hears it.
    package struct Incumbent: Hashable, Sendable {
        package let region: String
        package let isHeard: Bool
        package init(region: String, isHeard: Bool) {
            self.region = region
            self.isHeard = isHeard
        }
    }

    package let quorum: QuorumReport
    package let actsHere: Bool
    package let primary: Incumbent?
    /// As the node that is asked sees them.
    package let volumes: [VolumeReport]

    package init(
        quorum: QuorumReport, actsHere: Bool, primary: Incumbent?, volumes: [VolumeReport]
    ) {
        self.quorum = quorum
        self.actsHere = actsHere
        self.primary = primary
        self.volumes = volumes
    }

    /// The volume named `name`. What can't be decided is refused first: without a quorum any other
    /// advice would send the operator to a node that can't do it either.
    package func admit(_ name: String) throws(AdminRefused) -> VolumeReport {
        guard quorum.isReached else {
            throw .mesh(.noQuorum(reachable: quorum.reachable, needed: quorum.needed))
        }
        guard let volume = volumes.first(where: { $0.name == name }) else {
            throw .volume(.unknown(name: name, known: volumes.map(\.name).sorted()))
        }
        guard actsHere else { throw .mesh(elsewhere) }
        guard volume.clients == 0 else {
            throw .volume(.inUse(name: name, clients: volume.clients))
        }
        return volume
    }

    private var elsewhere: MeshRefused {
        guard let primary else { return .notPrimary(primary: nil) }
        return primary.isHeard
            ? .notPrimary(primary: primary.region) : .primaryAway(last: primary.region)
    }
}
