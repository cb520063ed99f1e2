extension SimulatedDisk {
    /// What is on the platter, and what a reader sees.
    struct File: Sendable {
        var durable: [UInt8] = []
        var current: [UInt8] = []
        var dirty = SectorSet()
        var resized = false

        mutating func put(_ bytes: [UInt8], at offset: Int) {
            guard !bytes.isEmpty else { return }
            let end = offset + bytes.count
            let have = current.count
            if end > have { resized = true }
            Self.lay(0..<bytes.count, of: bytes, over: &current, at: offset)
            let first = min(offset, have) / sectorByteCount
            dirty.insert(first..<(end - 1) / sectorByteCount + 1)
        }

        mutating func resize(to want: Int) {
            let have = current.count
            guard want < have else {
                return put([UInt8](repeating: 0, count: want - have), at: have)
            }
            current.removeLast(have - want)
            resized = true
        }

        /// What is dirty is safe from here on.
        mutating func sync(_ dirtyRanges: [Range<Int>]) {
            if durable.count > current.count {
                durable.removeLast(durable.count - current.count)
            }
            for range in dirtyRanges {
                Self.lay(range, of: current, over: &durable, at: range.lowerBound)
            }
            // Behind what a failed sync took for clean.
            Self.lengthen(&durable, to: current.count)
            (resized, dirty) = (false, SectorSet())
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
            self = File(durable: durable, current: durable)
        }

        /// Whole arrays are moved at once in every build; a repeated element is not.
        private static func lengthen(_ bytes: inout [UInt8], to count: Int) {
            if count > bytes.count { bytes += [UInt8](repeating: 0, count: count - bytes.count) }
        }

        /// Writes over what is there, and goes on behind it. Bytes at once, and not as a collection of
        /// them: it is half of what a simulated disk does.
        private static func lay(
            _ range: Range<Int>, of source: [UInt8], over old: inout [UInt8], at offset: Int
        ) {
            lengthen(&old, to: offset)
            let over = min(range.count, old.count - offset)
            unsafe source.withUnsafeBytes { from in
                unsafe old.withUnsafeMutableBytes { to in
                    let room = unsafe UnsafeMutableRawBufferPointer(
                        rebasing: to[offset..<offset + over])
                    unsafe room.copyMemory(
                        from: UnsafeRawBufferPointer(
                            rebasing: from[range.lowerBound..<range.lowerBound + over]))
                }
            }
            if over < range.count { old += source[range.lowerBound + over..<range.upperBound] }
        }
    }
}
