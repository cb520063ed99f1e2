import Admin
import Control
import Decisions
import Driver
import Mesh
import Node
import VolumeCore
import Volumes

extension AgentDoor {
    func distrustVolume(
        named name: String, _ distrust: VolumeDistrust
    ) async throws(AdminRefused) -> Admin.VolumeReport {
        let volumes = view.volumes
        guard let known = volumes.first(where: { $0.name == name }) else {
            throw .volume(.unknown(name: name, known: volumes.map(\.name).sorted()))
        }
        let (end, isTooFar) = distrust.offset.addingReportingOverflow(distrust.byteCount)
        guard !isTooFar, end <= known.byteCount, distrust.byteCount > 0,
            distrust.byteCount <= UInt64(VolumeLimits.distrustedByteCountMax)
        else {
            throw .volume(
                .rangeUnlawful(
                    name: name,
                    expected:
                        "a range of 1 to \(VolumeLimits.distrustedByteCountMax) bytes within the "
                        + "\(known.byteCount)"))
        }
        // What nobody else can give must not become damage.
        guard parts.driver.inspect({ $0.otherReplica }) != nil else {
            throw .volume(.onlyHere(name: name))
        }
        parts.volumes.post(.distrust(Piece(known.id, distrust.offset..<end)))
        return report(known, exports.status.first { $0.name == name })
    }
}
