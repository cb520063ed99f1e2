internal import NIOConcurrencyHelpers
internal import Repository
internal import Sealing

/// Cells that were asked for: those that opened, and what is wrong with the first one that did not.
struct OpenedCells: Sendable {
    var cells: [UInt64: [UInt8]] = [:]
    var failure: BackupFailure?
}

extension BackupReader {
    /// What is damaged takes at most its neighbours in the same pack with it, and those open where they are asked for alone.
    func opened(_ stored: [StoredCell], _ shape: VolumeShape) -> OpenedCells {
        let basket = Basket(shape)
        do throws(BackupFailure) {
            for job in try jobs(stored) {
                do throws(BackupFailure) { try fetch(job, shape, basket) } catch {
                    basket.fail(error)
                    // A store that does not answer may take minutes to say so each time.
                    if error.isOfStore { break }
                }
            }
        } catch { basket.fail(error) }
        return basket.opened
    }
}

extension BackupFailure {
    fileprivate var isOfStore: Bool {
        if case .store(let failure) = self { failure.cause != .missing } else { false }
    }
}

/// Takes runs of cells apart.
final class Basket: CellTarget {
    private let cellByteCount: UInt64
    private let state = NIOLockedValueBox(OpenedCells())

    init(_ shape: VolumeShape) { cellByteCount = shape.cellByteCount }

    var opened: OpenedCells { state.withLockedValue { $0 } }

    func fail(_ why: BackupFailure) {
        state.withLockedValue { $0.failure = $0.failure ?? why }
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
