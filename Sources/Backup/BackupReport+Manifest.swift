package import Admin
internal import Mesh
package import Repository

extension BackupReport {
    package init(_ manifest: Manifest) {
        self.init(
            number: manifest.sequence, kind: manifest.kind == .full ? .full : .incremental,
            position: PositionReport(
                index: manifest.position.index.rawValue, term: manifest.position.term.rawValue),
            epoch: manifest.epoch.rawValue, unixMilliseconds: manifest.time / 1_000_000,
            volumes: manifest.volumes.map { volume in
                Volume(
                    id: volume.id.rawValue, name: volume.name,
                    byteCount: volume.map.shape.byteCount)
            })
    }
}
