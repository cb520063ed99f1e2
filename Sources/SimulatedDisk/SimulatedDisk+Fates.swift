internal import Mesh

extension SimulatedDisk {
    /// What becomes of the next bytes written to a part of a file, whatever the disk says of them.
    package struct WriteFate: Hashable, Sendable {
        let range: Range<Int>
        /// Where they go instead; nil loses them.
        let target: Int?

        package init(_ range: Range<Int>, to target: Int?) {
            (self.range, self.target) = (range, target)
        }
    }

    /// Once the bytes at `offset` are written: puts the old ones back where a fate has them.
    mutating func meetFate(_ name: String, _ offset: Int, _ count: Int, before: [UInt8]) {
        guard let fate = fates[name] else { return }
        let struck = fate.range.clamped(to: offset..<offset + count)
        guard !struck.isEmpty, struck.upperBound <= before.count,
            let now = contents(of: name)
        else { return }
        fates[name] = nil
        hasSpoiled = true
        put(name, Array(before[struck]), at: struck.lowerBound)
        guard let target = fate.target else { return }
        put(name, Array(now[struck]), at: target + struck.lowerBound - fate.range.lowerBound)
    }
}
