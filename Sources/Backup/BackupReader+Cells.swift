internal import NIOConcurrencyHelpers
internal import Repository
internal import Sealing

/// Cells that were asked for: those that opened, and why the others did not.
struct OpenedCells: Sendable {
    var cells: [UInt64: [UInt8]] = [:]
    var failures: [UInt64: BackupFailure] = [:]
}

extension BackupReader {
    /// What is damaged or can't be had takes none of its neighbours with it.
    func opened(_ stored: [(cell: UInt64, id: Digest)], _ shape: VolumeShape) -> OpenedCells {
        let basket = Basket(shape)
        do throws(BackupFailure) {
            for job in try jobs(stored) { try fetch(job, shape, basket) }
        } catch {
            // A store that does not answer is not asked once more for each cell: each of them could take minutes.
            let isAway = error.isOfStore
            for one in stored where !basket.holds(one.cell) {
                if isAway {
                    basket.fail(one.cell, error)
                    continue
                }
                do throws(BackupFailure) {
                    for job in try jobs([one]) { try fetch(job, shape, basket) }
                } catch { basket.fail(one.cell, error) }
            }
        }
        return basket.opened
    }
}

extension BackupFailure {
    fileprivate var isOfStore: Bool {
        if case .store(let failure) = self { failure.cause != .missing } else { false }
    }
}

/// Takes runs of cells apart.
private final class Basket: CellTarget {
    private let cellByteCount: UInt64
    private let state = NIOLockedValueBox(OpenedCells())

    init(_ shape: VolumeShape) { cellByteCount = shape.cellByteCount }

    var opened: OpenedCells { state.withLockedValue { $0 } }

    func holds(_ cell: UInt64) -> Bool { state.withLockedValue { $0.cells[cell] != nil } }

    func fail(_ cell: UInt64, _ why: BackupFailure) {
        state.withLockedValue { $0.failures[cell] = why }
    }

    func write(_ bytes: [UInt8], at offset: UInt64) {
        let size = Int(cellByteCount)
        state.withLockedValue { state in
            for (number, start) in stride(from: 0, to: bytes.count, by: size).enumerated() {
                let cell = offset / cellByteCount + UInt64(number)
                state.cells[cell] = Array(bytes[start..<min(start + size, bytes.count)])
            }
        }
    }
}
