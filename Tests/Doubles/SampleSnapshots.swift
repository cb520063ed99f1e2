package import Admin
import Control

/// Snapshots of one volume whose bytes are their own offsets.
package struct SampleSnapshots: SnapshotDoor {
    package init() {}

    package func list() async throws(AdminRefused) -> SnapshotsReport {
        SnapshotsReport(
            roomBytes: 1 << 30, usedBytes: 4_096,
            snapshots: [
                SnapshotReport(
                    name: "before", index: 7, takenAt: 1_700_000_000,
                    volumes: [SnapshotReport.Volume(name: "db", byteCount: 1 << 20)],
                    keptBytes: 4_096)
            ])
    }

    package func create(_ request: SnapshotRequest) async throws(AdminRefused) -> SnapshotReport {
        guard SnapshotRequest.isLawful(request.name) else {
            throw .snapshot(.nameUnlawful(request.name))
        }
        return SnapshotReport(
            name: request.name, index: 8, takenAt: 1_700_000_000,
            volumes: request.volumes.map { SnapshotReport.Volume(name: $0, byteCount: 1 << 20) },
            keptBytes: 0)
    }

    package func delete(named name: String) async throws(AdminRefused) {
        guard name == "before" else {
            throw .snapshot(.unknown(name: name, known: ["before"]))
        }
    }

    package func shape(
        of name: String, volume: String
    ) async throws(AdminRefused) -> SnapshotShapeReport {
        guard volume == "db" else {
            throw .snapshot(.volumeAbsent(snapshot: name, volume: volume))
        }
        return SnapshotShapeReport(
            snapshot: 5, volume: 1, index: 7, byteCount: 1 << 20, held: [0, 65_536])
    }

    package func read(_ read: SnapshotRead) async throws(AdminRefused) -> [UInt8] {
        guard read.snapshot == 5 else { throw .snapshot(.ended(why: "it was deleted")) }
        return (read.from..<read.to).map { UInt8(truncatingIfNeeded: $0) }
    }
}
