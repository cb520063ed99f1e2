internal import Mesh
internal import SimulatedDisk
internal import VolumeCore

/// A replica's volumes as they are at one moment: each is read once, however many others are compared
/// with it. Works on a copy of the core, which sees nothing of this.
struct ReplicaImages {
    let at: Int
    private var core: VolumeCore<SimulatedDisk>
    private var images: [VolumeID: [UInt8]?] = [:]

    init(at: Int, _ core: VolumeCore<SimulatedDisk>) { (self.at, self.core) = (at, core) }

    var applied: LogIndex { core.applied }
    var isResyncing: Bool { core.isResyncing }
    var volumes: [VolumeInfo] { core.list }

    /// nil where they can't be read.
    mutating func bytes(of volume: VolumeInfo) -> [UInt8]? {
        if let known = images[volume.id] { return known }
        let bytes = try? core.readCommitted(volume.id, at: 0, count: Int(volume.byteCount)).get()
        images[volume.id] = .some(bytes)
        return bytes
    }
}
