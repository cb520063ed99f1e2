internal import Mesh

extension SimulatedDisk {
    /// What a reader sees, and the sectors that are otherwise on the platter. So a sync copies nothing, and
    /// what is the same in both is there once.
    struct File: Sendable {
        private(set) var current: [UInt8]
        /// On the platter; so for `old`.
        private(set) var durableCount: Int
        private var old = OldSectors()
        private(set) var dirty = SectorSet()
        private var resized = false
        /// A sync failed: some of `old` stays what it is, whatever a later one says.
        private var hasLost = false

        init(_ bytes: [UInt8] = []) { (current, durableCount) = (bytes, bytes.count) }

        /// Bytes at once, and not as a collection of them: it is half of what a simulated disk does.
        mutating func put(_ bytes: [UInt8], at offset: Int) {
            guard !bytes.isEmpty else { return }
            prepare(offset..<offset + bytes.count)
            let over = min(bytes.count, current.count - offset)
            unsafe bytes.withUnsafeBytes { from in
                unsafe current.withUnsafeMutableBytes { to in
                    let room = unsafe UnsafeMutableRawBufferPointer(
                        rebasing: to[offset..<offset + over])
                    unsafe room.copyMemory(from: UnsafeRawBufferPointer(rebasing: from[..<over]))
                }
            }
            if over < bytes.count { current += bytes[over...] }
        }

        /// Within the file.
        mutating func zero(_ range: Range<Int>) {
            guard !range.isEmpty else { return }
            prepare(range)
            unsafe current.withUnsafeMutableBytes { all in
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: all[range])
                unsafe room.initializeMemory(as: UInt8.self, repeating: 0)
            }
        }

        mutating func resize(to want: Int) {
            let have = current.count
            guard want < have else { return prepare(want..<want) }
            if want < durableCount { keep(want..<durableCount) }
            current.removeLast(have - want)
            resized = true
        }

        /// Before `range` is written: what is on the platter is kept, and there is no gap before it.
        private mutating func prepare(_ range: Range<Int>) {
            let have = current.count
            if range.upperBound > have { resized = true }
            Self.lengthen(&current, to: range.lowerBound)
            let touched = min(range.lowerBound, have)..<range.upperBound
            dirty.insert(Self.sectors(touched))
            if touched.lowerBound < durableCount { keep(touched.clamped(to: 0..<durableCount)) }
        }

        private mutating func keep(_ range: Range<Int>) {
            old.keep(Self.sectors(range), of: current[..<min(durableCount, current.count)])
        }

        private static func sectors(_ range: Range<Int>) -> Range<Int> {
            guard !range.isEmpty else { return 0..<0 }
            return range.lowerBound / sectorByteCount..<(range.upperBound - 1) / sectorByteCount + 1
        }

        /// Turns a byte over wherever it is.
        mutating func change(_ offset: Int, _ body: (inout UInt8) -> Void) {
            if offset < current.count { body(&current[offset]) }
            if offset < durableCount { old.change(offset, body) }
        }

        /// What is on the platter.
        func durable(_ range: Range<Int>) -> [UInt8] {
            let range = range.clamped(to: 0..<durableCount)
            var bytes = Array(current[range.clamped(to: 0..<current.count)])
            Self.lengthen(&bytes, to: range.count)
            old.lay(over: &bytes, from: range.lowerBound)
            return bytes
        }

        /// What is dirty is safe from here on.
        mutating func sync() {
            if hasLost {
                old.keepOnly(besides: dirty, before: min(durableCount, current.count))
                hasLost = !old.isEmpty
            } else {
                old.removeAll()
            }
            durableCount = current.count
            resized = false
            dirty.removeAll()
        }

        /// What is dirty was not written, and nobody will try again.
        mutating func failSync() {
            let content = current[..<min(durableCount, current.count)]
            for run in dirty.runs { old.keep(run, of: content) }
            dirty.removeAll()
            hasLost = true
        }

        /// What the next sync makes safe.
        var dirtyRanges: [Range<Int>] {
            dirty.runs.compactMap { run in
                let start = run.lowerBound * sectorByteCount
                let end = min(run.upperBound * sectorByteCount, current.count)
                return start < end ? start..<end : nil
            }
        }

        /// What a crash makes of it, where `isKept` has one for the length and one for each sector.
        mutating func settle(_ isKept: () -> Bool) {
            var durable = durable(0..<durableCount)
            if resized && isKept() {
                let (have, want) = (durable.count, current.count)
                if want < have { durable.removeLast(have - want) }
                Self.lengthen(&durable, to: want)
            }
            for sector in dirty.sectors where isKept() {
                let start = sector * sectorByteCount
                let end = min(start + sectorByteCount, durable.count, current.count)
                if start < end { durable[start..<end] = current[start..<end] }
            }
            self = File(durable)
        }

        private static func lengthen(_ bytes: inout [UInt8], to count: Int) {
            if count > bytes.count { bytes.append(zeros: count - bytes.count) }
        }
    }
}
