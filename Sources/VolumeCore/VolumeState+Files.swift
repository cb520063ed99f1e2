internal import Disk
internal import Mesh
internal import Planted

extension VolumeState {
    /// The newest whole state; nil on a disk that never had one.
    static func load<D: Disk>(from disk: inout D) throws(VolumeRecoveryRefused) -> VolumeState? {
        do throws(DiskError) {
            let names = try disk.list()
            var newest: VolumeState?
            for name in slots where names.contains(name) {
                let file = try disk.open(name, create: false)
                defer { disk.close(file) }
                let count = try disk.byteCount(file)
                guard count <= byteCountMax else { continue }
                let bytes = try disk.read(file, at: 0, count: Int(count))
                guard let state = VolumeState(parsing: bytes) else { continue }
                if newest == nil || state.sequence > newest?.sequence ?? 0 { newest = state }
            }
            let hasState = names.contains { slots.contains($0) }
            let hasImages = names.contains { $0.hasSuffix(imageSuffix) }
            guard newest != nil || !(hasState || hasImages) else {
                throw DiskError(.read, slots[0], .missing)
            }
            return newest
        } catch { throw .state(error) }
    }

    /// The renamed file replaces the older slot whole; the newer one stays until the next time.
    func save<D: Disk>(to disk: inout D) throws(DiskError) {
        let file = try disk.open(Self.temporary, create: true)
        defer { disk.close(file) }
        try disk.resize(file, to: 0)
        try disk.write(file, at: 0, [encoded])
        if !isPlanted(.skipsStateSync) { try disk.sync(file) }
        try disk.rename(Self.temporary, to: Self.slots[Int(sequence % 2)])
        if !isPlanted(.skipsStateDirectorySync) { try disk.syncDirectory() }
    }

    static let imageSuffix = ".image"
    static func image(of volume: VolumeID) -> String { "volume-\(volume)\(imageSuffix)" }
    private static let sumsSuffix = ".sums"
    static func isVolumeFile(_ name: String) -> Bool {
        name.hasSuffix(imageSuffix) || name.hasSuffix(sumsSuffix)
    }
    static func sums(of volume: VolumeID) -> String { "volume-\(volume)\(sumsSuffix)" }
}
