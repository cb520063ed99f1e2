internal import Admin
internal import ArgumentParser
internal import Backup
internal import Control
internal import Glibc
internal import Mounts
internal import NIOConcurrencyHelpers
internal import Repository

extension SnapshotCommand {
    struct Export: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Serves one volume of a snapshot over NBD, at once.",
            discussion: """
                What is written is seen by all clients of this export, lies in a file without a name, and is gone when this \
                command ends: by Ctrl-C or SIGTERM. The snapshot stays as it is. It may be served several times at once. What can't \
                be read of it, or is there no more, is an I/O error, and named on standard error.
                """)

        /// Of an export; the node reads no more than 16 parts at once.
        private static let threads = 4

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @Argument var name: String
        @Option(help: "Which one.") var volume: String
        @OptionGroup var serving: ServingOptions

        func run() async throws {
            let claim = try serving.claim()
            defer { withExtendedLifetime(claim) {} }
            let shape: SnapshotShapeReport
            do {
                shape = try await root.client.ask(
                    .snapshotShape(named: name, volume: volume), for: SnapshotShapeReport.self)
            } catch { throw Failure(error).for(options.output) }
            let base = SnapshotBase(shape, of: root.client)
            let mounted = try mounted { () throws(MountFailure) in
                try MountedVolume(
                    base, byteCount: shape.byteCount, overlayIn: serving.overlayFolder)
            }
            let told = SnapshotWords(
                snapshot: name, index: shape.index, volume: volume, byteCount: shape.byteCount,
                readOnly: serving.readOnly, socket: serving.listen)
            try await serving.serve(mounted, as: volume, threads: Self.threads) {
                try options.show(told, told.lines)
            }
        }
    }
}

/// What an export says when clients can come.
struct SnapshotWords: Encodable {
    let snapshot: String
    /// The last entry of the log that is in it.
    let index: UInt64
    let volume: String
    let byteCount: UInt64
    let readOnly: Bool
    let socket: String
    let uri: String

    init(
        snapshot: String, index: UInt64, volume: String, byteCount: UInt64, readOnly: Bool,
        socket: String
    ) {
        (self.snapshot, self.index, self.volume) = (snapshot, index, volume)
        (self.byteCount, self.readOnly, self.socket) = (byteCount, readOnly, socket)
        uri = "nbd+unix:///\(volume)?socket=\(socket)"
    }

    var lines: [Line] {
        let fate = readOnly ? "read-only" : "what is written is thrown away at the end"
        return [
            Line(
                "\(volume) of snapshot \(snapshot), as of entry \(index), \(Words.bytes(byteCount)), \(fate):",
                .good),
            Line("  \(uri)"),
        ]
    }
}

/// A volume of a snapshot, read of its node a part at a time.
final class SnapshotBase: MountBase {
    /// The node refuses for a moment where others read much.
    private static let triesMax = 100
    private static let pause: UInt32 = 20_000
    /// Small reads come in runs: what lies around one is kept for the next.
    private static let aheadByteCount: UInt64 = 128 << 10
    private static let aheadMax = 64

    private struct Ahead: Sendable {
        var pieces: [UInt64: [UInt8]] = [:]
        var order: [UInt64] = []
    }

    private let shape: SnapshotShapeReport
    private let held: [Range<UInt64>]
    private let client: AdminClient
    private let ahead = NIOLockedValueBox(Ahead())

    init(_ shape: SnapshotShapeReport, of client: AdminClient) {
        (self.shape, self.client) = (shape, client)
        held = stride(from: 0, to: shape.held.count - 1, by: 2).map {
            shape.held[$0]..<shape.held[$0 + 1]
        }
    }

    func read(_ range: Range<UInt64>) throws(BackupFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        for extent in extents(range, countMax: .max) {
            guard extent.kind == .data else {
                bytes.append(contentsOf: repeatElement(0, count: extent.range.count))
                continue
            }
            var at = extent.range.lowerBound
            while at < extent.range.upperBound {
                let end = min(at + SnapshotRead.byteCountMax, extent.range.upperBound)
                bytes += try part(at..<end)
                at = end
            }
        }
        return bytes
    }

    private func part(_ range: Range<UInt64>) throws(BackupFailure) -> [UInt8] {
        let first = range.lowerBound / Self.aheadByteCount
        let start = first * Self.aheadByteCount
        guard UInt64(range.count) < Self.aheadByteCount,
            (range.upperBound - 1) / Self.aheadByteCount == first
        else { return try fetch(range) }
        let cut = { (piece: [UInt8]) in
            let from = Int(range.lowerBound - start)
            return Array(piece[from..<from + range.count])
        }
        if let piece = ahead.withLockedValue({ $0.pieces[first] }) { return cut(piece) }
        let piece: [UInt8]
        do throws(BackupFailure) {
            piece = try fetch(start..<min(start + Self.aheadByteCount, shape.byteCount))
        } catch {
            // What is damaged may lie beside what was asked for.
            return try fetch(range)
        }
        ahead.withLockedValue { ahead in
            guard ahead.pieces.updateValue(piece, forKey: first) == nil else { return }
            ahead.order.append(first)
            guard ahead.order.count > Self.aheadMax else { return }
            ahead.pieces[ahead.order.removeFirst()] = nil
        }
        return cut(piece)
    }

    /// Waits for the node, on a thread that may.
    private func fetch(_ range: Range<UInt64>) throws(BackupFailure) -> [UInt8] {
        let route = Route.readSnapshot(
            SnapshotRead(
                snapshot: shape.snapshot, volume: shape.volume, from: range.lowerBound,
                to: range.upperBound))
        for _ in 0..<Self.triesMax {
            switch client.answer(to: route) {
            case .success(let bytes) where bytes.count == range.count: return bytes
            case .success: throw .volume("the node gave another part of the snapshot")
            case .failure(.refused(let problem)) where ["busy", "crowded"].contains(problem.code):
                usleep(Self.pause)
            case .failure(let failed): throw .volume(Failure(failed).text)
            }
        }
        throw .volume("the node is busy with other readers for too long")
    }

    func extents(_ range: Range<UInt64>, countMax: Int) -> [ViewExtent] {
        var low = held.partitionPoint { $0.upperBound > range.lowerBound }
        var extents: [ViewExtent] = []
        var at = range.lowerBound
        while at < range.upperBound, extents.count < countMax {
            let next = low < held.count ? held[low] : range.upperBound..<range.upperBound
            let isData = next.lowerBound <= at && at < next.upperBound
            let end = min(isData ? next.upperBound : max(next.lowerBound, at), range.upperBound)
            extents.append(ViewExtent(at..<end, isData ? .data : .hole))
            if isData { low += 1 }
            at = end
        }
        return extents
    }
}
