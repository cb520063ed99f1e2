/// Where each block of a mounted volume is: below, in the overlay, or nowhere because it was zeroed.
///
/// A byte for each block of a page in which blocks differ, and nothing for pages that nobody changed: what is held grows with
/// what was written, to at most a 4,096th of the volume.
struct BlockStates: Hashable, Sendable {
    enum State: UInt8, Hashable, Sendable {
        case below = 0
        case written = 1
        case zeros = 2
    }

    private enum Page: Hashable, Sendable {
        case all(State)
        case each([State])
    }

    static let blockByteCount: UInt64 = 4_096
    static let blocksPerPage: UInt64 = 4_096
    private var pages: [UInt64: Page] = [:]

    /// The whole blocks that a range of bytes touches.
    static func blocks(_ range: Range<UInt64>) -> Range<UInt64> {
        guard !range.isEmpty else { return 0..<0 }
        return range.lowerBound / blockByteCount..<(range.upperBound - 1) / blockByteCount + 1
    }

    subscript(block: UInt64) -> State {
        switch pages[block / Self.blocksPerPage] {
        case nil: .below
        case .all(let state): state
        case .each(let states): states[Int(block % Self.blocksPerPage)]
        }
    }

    mutating func set(_ blocks: Range<UInt64>, _ state: State) {
        var at = blocks.lowerBound
        while at < blocks.upperBound {
            let number = at / Self.blocksPerPage
            let first = number * Self.blocksPerPage
            let end = min(first + Self.blocksPerPage, blocks.upperBound)
            set(Int(at - first)..<Int(end - first), ofPage: number, state)
            at = end
        }
    }

    private mutating func set(_ own: Range<Int>, ofPage number: UInt64, _ state: State) {
        let count = Int(Self.blocksPerPage)
        guard own.count < count else { return pages[number] = .all(state) }
        var states: [State]
        switch pages.removeValue(forKey: number) {
        case .each(let held): states = held
        case .all(let held): states = [State](repeating: held, count: count)
        case nil: states = [State](repeating: .below, count: count)
        }
        for at in own { states[at] = state }
        pages[number] = states.allSatisfy { $0 == state } ? .all(state) : .each(states)
    }

    /// The parts of a range of bytes, in their order, at most so many from its beginning on; neighbours differ.
    func runs(
        in range: Range<UInt64>, countMax: Int = .max
    ) -> [(range: Range<UInt64>, state: State)] {
        var runs: [(range: Range<UInt64>, state: State)] = []
        var at = range.lowerBound
        while at < range.upperBound {
            let (state, blockEnd) = run(at: at / Self.blockByteCount)
            let end = min(blockEnd * Self.blockByteCount, range.upperBound)
            if let last = runs.last, last.state == state {
                runs[runs.count - 1].range = last.range.lowerBound..<end
            } else {
                guard runs.count < countMax else { return runs }
                runs.append((at..<end, state))
            }
            at = end
        }
        return runs
    }

    /// What a block's state is, and up to which block of its page it holds.
    private func run(at block: UInt64) -> (State, end: UInt64) {
        let number = block / Self.blocksPerPage
        let end = (number + 1) * Self.blocksPerPage
        switch pages[number] {
        case nil: return (.below, end)
        case .all(let state): return (state, end)
        case .each(let states):
            let at = Int(block % Self.blocksPerPage)
            let same = states[at...].firstIndex { $0 != states[at] }
            return (states[at], same.map { number * Self.blocksPerPage + UInt64($0) } ?? end)
        }
    }
}
