internal import Dispatch
internal import NIOConcurrencyHelpers
package import Repository
internal import Sealing

/// A volume of a backup for whoever looks into it: cells are fetched when they are read, and opened and checked as a restore
/// does. The last ones are kept, and who reads on is read ahead of, a window at a time.
package final class VolumeView: Sendable {
    private struct State: Sendable {
        var cells: Kept<UInt64, [UInt8]>
        /// Windows that were read or fetched last, in a ring.
        var recent: [UInt64] = []
        var next = 0
        /// Windows on their way; who needs one of them waits for it.
        var loading: [UInt64: DispatchGroup] = [:]
        /// Which of the queues that read ahead have nothing to do.
        var idle: [Int]
    }

    /// How a part of a window that is not here comes.
    private enum Way {
        /// Somebody fetches the window.
        case wait(DispatchGroup)
        /// All of it, by who asks.
        case window(DispatchGroup)
        /// What is asked for and nothing else.
        case alone
    }

    private typealias Stored = [(cell: UInt64, id: Digest)]

    package let shape: VolumeShape
    let map: VolumeMap
    let reader: BackupReader
    private let limits: BackupLimits
    private let windowByteCount: UInt64
    private let state: NIOLockedValueBox<State>
    /// One for each thread: those of a concurrent queue begin late where others wait for them.
    private let ahead: [DispatchQueue]

    package init(_ map: VolumeMap, _ reader: BackupReader) {
        (self.map, self.reader, shape) = (map, reader, map.shape)
        limits = reader.vault.limits
        windowByteCount = max(limits.windowByteCount, shape.cellByteCount)
        let count = Int(limits.openedByteCountKept / shape.cellByteCount)
        let aheadCount = limits.windowsAheadAtOnce
        ahead = (0..<aheadCount).map { DispatchQueue(label: "holdfast.backup.ahead.\($0)") }
        state = NIOLockedValueBox(State(cells: Kept(count), idle: Array(0..<aheadCount)))
    }

    /// Behind the volume's end there are zeros. Called by several threads at once, and may wait for the store.
    package func read(_ range: Range<UInt64>) throws(BackupFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        let own = range.clamped(to: 0..<shape.byteCount)
        var at = own.lowerBound
        while at < own.upperBound {
            let window = at / windowByteCount
            let end = min((window + 1) * windowByteCount, own.upperBound)
            try read(at..<end, in: window, into: &bytes)
            at = end
        }
        bytes.append(contentsOf: repeatElement(0, count: range.count - bytes.count))
        return bytes
    }

    private func read(
        _ part: Range<UInt64>, in window: UInt64, into bytes: inout [UInt8]
    ) throws(BackupFailure) {
        let size = shape.cellByteCount
        let cells = part.lowerBound / size..<(part.upperBound - 1) / size + 1
        let stored = try reader.stored(map, cells)
        let opened = try opened(stored, in: window)
        for cell in cells {
            let start = cell * size
            let wanted = part.clamped(to: start..<start + size)
            if let plain = opened[cell] {
                bytes += plain[Int(wanted.lowerBound - start)..<Int(wanted.upperBound - start)]
            } else {
                bytes.append(contentsOf: repeatElement(0, count: wanted.count))
            }
        }
    }

    private func opened(
        _ stored: Stored, in window: UInt64
    ) throws(BackupFailure) -> [UInt64: [UInt8]] {
        guard !stored.isEmpty else { return [:] }
        var cells = kept(stored)
        if cells.count < stored.count {
            switch way(to: window) {
            case .wait(let group): group.wait()
            case .window(let group): load(window, group)
            case .alone: break
            }
            cells = kept(stored)
        }
        readAhead(of: window)
        let missing = stored.filter { cells[$0.cell] == nil }
        guard !missing.isEmpty else { return cells }
        let opened = reader.opened(missing, shape)
        keep(opened)
        if let failure = opened.failure { throw failure }
        return cells.merging(opened.cells) { $1 }
    }

    private func kept(_ stored: Stored) -> [UInt64: [UInt8]] {
        state.withLockedValue { state in
            var cells: [UInt64: [UInt8]] = [:]
            for one in stored { cells[one.cell] = state.cells.value(of: one.cell) }
            return cells
        }
    }

    private func keep(_ opened: OpenedCells) {
        state.withLockedValue { state in
            for (cell, bytes) in opened.cells { state.cells.keep(bytes, as: cell) }
        }
    }

    /// Who reads behind what was read lately goes on reading there, as far as anybody knows.
    private func way(to window: UInt64) -> Way {
        state.withLockedValue { state in
            if let group = state.loading[window] { return .wait(group) }
            let goesOn =
                state.recent.contains(window)
                || window > 0 && state.recent.contains(window - 1)
            remember(window, &state)
            guard goesOn else { return .alone }
            return .window(begin(window, &state))
        }
    }

    private func begin(_ window: UInt64, _ state: inout State) -> DispatchGroup {
        let group = DispatchGroup()
        group.enter()
        state.loading[window] = group
        return group
    }

    private func remember(_ window: UInt64, _ state: inout State) {
        guard !state.recent.contains(window) else { return }
        guard state.recent.count == limits.windowsRemembered else {
            return state.recent.append(window)
        }
        state.recent[state.next] = window
        state.next = (state.next + 1) % limits.windowsRemembered
    }

    /// What of it can't be had is told to who asks for that.
    private func load(_ window: UInt64, _ group: DispatchGroup) {
        let size = shape.cellByteCount
        let first = window * windowByteCount / size
        let end = min((window + 1) * windowByteCount / size, shape.cellCount)
        if let stored = try? reader.stored(map, first..<end) {
            let cells = kept(stored)
            keep(reader.opened(stored.filter { cells[$0.cell] == nil }, shape))
        }
        state.withLockedValue { $0.loading[window] = nil }
        group.leave()
    }

    private func readAhead(of window: UInt64) {
        let begun = state.withLockedValue { state -> [(UInt64, DispatchGroup, queue: Int)] in
            guard window > 0, state.recent.contains(window - 1) else { return [] }
            remember(window, &state)
            var begun: [(UInt64, DispatchGroup, queue: Int)] = []
            for next in window + 1...window + limits.windowsAhead {
                guard next * windowByteCount < shape.byteCount else { break }
                guard !state.recent.contains(next), state.loading[next] == nil else { continue }
                guard let queue = state.idle.popLast() else { break }
                remember(next, &state)
                begun.append((next, begin(next, &state), queue))
            }
            return begun
        }
        for (next, group, queue) in begun {
            ahead[queue].async {
                self.load(next, group)
                self.state.withLockedValue { $0.idle.append(queue) }
            }
        }
    }
}
