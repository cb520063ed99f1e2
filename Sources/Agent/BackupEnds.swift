import Backup
import Decisions
import Mesh
import NIOConcurrencyHelpers
import Repository

/// What became of this node's backups, until the mesh has it in its log.
final class BackupEnds: Sendable {
    /// Beyond it the oldest is forgotten: what it tells is made good by the next backup.
    static let countMax = 16

    enum End: Hashable, Sendable {
        case made(number: UInt64, asOf: WallTime, isFull: Bool, claim: LogIndex?)
        case failed(claim: LogIndex, words: String)
    }
    private let all = NIOLockedValueBox<[End]>([])

    /// A failure that nobody claimed is told to whoever asked for the backup, and to nobody else.
    func add(_ claim: LogIndex?, _ result: Result<ManifestObject, BackupFailure>) {
        switch result {
        case .success(let made):
            let manifest = made.manifest
            add(
                .made(
                    number: manifest.sequence, asOf: WallTime(manifest.time),
                    isFull: manifest.kind == .full, claim: claim))
        case .failure(let failure):
            if let claim { add(.failed(claim: claim, words: "\(failure)")) }
        }
    }

    func add(_ end: End) {
        all.withLockedValue { all in
            all.append(end)
            if all.count > Self.countMax { all.removeFirst() }
        }
    }

    var first: End? { all.withLockedValue { $0.first } }

    func remove(_ end: End) { all.withLockedValue { $0.removeAll { $0 == end } } }

    func removeAll() { all.withLockedValue { $0 = [] } }
}

extension BackupNews {
    init(_ end: BackupEnds.End, by node: NodeID) {
        switch end {
        case .made(let number, let asOf, let isFull, let claim):
            self = .made(
                BackupDuty.Made(number: number, node: node, asOf: asOf, isFull: isFull),
                claim: claim)
        case .failed(let claim, let words):
            self = .failed(claim: claim, words: Self.shortened(words))
        }
    }

    /// Whole characters, or it could not be read.
    private static func shortened(_ words: String) -> String {
        var (text, byteCount) = (words[...], words.utf8.count)
        while byteCount > BackupDuty.failureBytesMax, let last = text.unicodeScalars.popLast() {
            byteCount -= UTF8.width(last)
        }
        return String(text)
    }
}
