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
        let known = try volume(named: name)
        let (end, isTooFar) = distrust.offset.addingReportingOverflow(distrust.byteCount)
        let isEmpty = isTooFar || distrust.byteCount == 0
        let blocks = isEmpty ? 0 : (end - 1) / 4_096 - distrust.offset / 4_096 + 1
        guard blocks > 0, end <= known.byteCount else {
            throw .volume(
                .rangeUnlawful(name: name, expected: "a range within the \(known.byteCount) bytes"))
        }
        let room = VolumeLimits.distrustedBlocksMax - parts.volumes.status.distrustedBlocks
        guard blocks <= UInt64(max(room, 0)) else {
            throw .volume(
                .rangeUnlawful(
                    name: name,
                    expected:
                        "within the \(room) blocks of 4 KiB that can be taken anew beside what is under way"
                ))
        }
        guard parts.driver.inspect({ $0.otherReplica }) != nil else {
            throw .volume(.onlyHere(name: name))
        }
        parts.volumes.post(.distrust(Piece(known.id, distrust.offset..<end)))
        return report(known, exports.status.first { $0.name == name })
    }
}
