internal import Backup
internal import Glibc
internal import NIOConcurrencyHelpers
internal import Pacing
internal import Repository

extension ImageTarget: RestoreTarget {}

/// Raw images; they have no names before they are whole.
struct ImageSink: RestoreSink {
    struct Target: RestoreTarget {
        let name: String
        let path: String
        private(set) var byteCount: UInt64
        let image: ImageTarget

        func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure) {
            try image.write(bytes, at: offset)
        }
        func zero(_ range: Range<UInt64>) throws(BackupFailure) { try image.zero(range) }
        mutating func grow(to byteCount: UInt64) throws(BackupFailure) {
            try image.grow(to: byteCount)
            self.byteCount = byteCount
        }
    }

    /// The directory that the images go to.
    let folder: String
    let existing: ImageTarget.Existing
    let remains: ImageTarget.Remains
    /// Where the image of a volume of that name goes; nil for one that is not wanted.
    let path: (String) -> String?
    private let state = NIOLockedValueBox(State())

    private struct State: Sendable {
        var begun: [String] = []
        var kept: UInt64 = 0
    }

    init(
        folder: String, existing: ImageTarget.Existing = .refused, remains: ImageTarget.Remains,
        path: @escaping (String) -> String?
    ) {
        (self.folder, self.existing, self.remains, self.path) = (folder, existing, remains, path)
    }

    func room() throws(BackupFailure) -> (room: Room, besides: UInt64) {
        (try Room(in: folder), 0)
    }

    func begin() {}

    func wants(_ name: String) -> Bool { path(name) != nil }

    func target(_ volume: RestoredVolume) throws(BackupFailure) -> Target? {
        guard let path = path(volume.name) else { return nil }
        let image = try image(path, byteCount: volume.byteCount)
        if volume.isNew { try image.empty() }
        return Target(
            name: volume.name, path: path, byteCount: volume.byteCount, image: image)
    }

    func image(_ path: String, byteCount: UInt64) throws(BackupFailure) -> ImageTarget {
        let image = try ImageTarget(
            path, byteCount: byteCount, existing: existing, remains: remains)
        state.withLockedValue { $0.begun.append(path) }
        return image
    }

    func fill(
        _ target: Target, _ map: VolumeMap, _ reader: BackupReader, _ tell: @escaping WorkTeller
    ) throws(BackupFailure) {
        let kept = try reader.complete(map, in: Watched(target.image, tell)) { tell(.kept($0)) }
        state.withLockedValue { $0.kept += kept }
    }

    func drop(_ target: Target) {
        target.image.discard()
        state.withLockedValue { $0.begun.removeAll { $0 == target.path } }
    }

    func held(_ name: String) -> UInt64 {
        path(name).map { ImageTarget.remainingByteCount(of: $0) } ?? 0
    }

    /// Where an image was begun.
    var begun: [String] { state.withLockedValue { $0.begun } }
    /// Bytes that were right already.
    var kept: UInt64 { state.withLockedValue { $0.kept } }

    /// What a person is told of what a restore leaves that failed.
    static func remains(of paths: [String]) -> String {
        let left = paths.map { $0 + ImageTarget.partialSuffix }
            .filter { unsafe access($0, F_OK) == 0 }
        guard !left.isEmpty else { return "" }
        return
            "\n  What was restored stays in \(Words.list(left)): the same command goes on from there."
    }
}
