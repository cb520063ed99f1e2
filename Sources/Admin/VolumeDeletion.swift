/// Whether a volume may be deleted where it is asked.
///
/// Clients are connected to the acting primary alone, so no other node can tell that there are none.
package struct VolumeDeletion: Hashable, Sendable {
    package let actsHere: Bool
    /// The region that the mesh agreed on.
    package let primary: String?
    /// As the node that is asked sees them.
    package let volumes: [VolumeReport]

    package init(actsHere: Bool, primary: String?, volumes: [VolumeReport]) {
        self.actsHere = actsHere
        self.primary = primary
        self.volumes = volumes
    }

    /// The volume named `name`.
    package func admit(_ name: String) throws(AdminRefused) -> VolumeReport {
        guard let volume = volumes.first(where: { $0.name == name }) else {
            throw .volume(.unknown(name: name, known: volumes.map(\.name).sorted()))
        }
        guard actsHere else { throw .mesh(.notPrimary(primary: primary)) }
        guard volume.clients == 0 else {
            throw .volume(.inUse(name: name, clients: volume.clients))
        }
        return volume
    }
}
