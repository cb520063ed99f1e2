/// Pieces of a volume that hide what lies below: sorted by offset, disjoint, the newest wins.
struct ExtentMap: Sendable {
    enum Content: Sendable {
        /// `held` is what the slice keeps in memory, which may be more than it shows.
        case data(ArraySlice<UInt8>, held: Int)
        /// Reads as zero, and its space stays reserved.
        case zeroes
        /// Reads as zero, and its space is given back.
        case hole
    }

    struct Extent: Sendable {
        var range: Range<UInt64>
        var content: Content
        /// The write it came from: a pending piece goes when its own write commits.
        var owner: UInt64

        /// An extent costs memory even if it has no bytes, so floods of tiny trims are bounded too.
        static let overheadByteCount = 128

        var cost: Int {
            guard case .data(let bytes, _) = content else { return Self.overheadByteCount }
            return bytes.count + Self.overheadByteCount
        }

        func clipped(to part: Range<UInt64>) -> Extent {
            guard case .data(let bytes, let held) = content else {
                return Extent(range: part, content: content, owner: owner)
            }
            let from = bytes.startIndex + Int(part.lowerBound - range.lowerBound)
            let slice = bytes[from..<from + part.count]
            // A sliver must not keep a megabyte alive: memory stays within twice the cost.
            let content: Content =
                slice.count * 2 < held
                ? .data(ArraySlice(Array(slice)), held: slice.count) : .data(slice, held: held)
            return Extent(range: part, content: content, owner: owner)
        }
    }

    private(set) var extents: [Extent] = []
    private(set) var cost = 0

    /// The first extent that ends above `offset`.
    func position(above offset: UInt64) -> Int {
        var (low, high) = (0, extents.count)
        while low < high {
            let middle = (low + high) / 2
            if extents[middle].range.upperBound > offset { high = middle } else { low = middle + 1 }
        }
        return low
    }

    mutating func insert(_ extent: Extent) {
        guard !extent.range.isEmpty else { return }
        replace(extent.range, owner: nil, by: extent)
    }

    /// Removes what lies in `range`, only that of `owner` if one is given.
    mutating func cut(_ range: Range<UInt64>, owner: UInt64? = nil) {
        guard !range.isEmpty else { return }
        replace(range, owner: owner, by: nil)
    }

    private mutating func replace(_ range: Range<UInt64>, owner: UInt64?, by extent: Extent?) {
        let low = position(above: range.lowerBound)
        guard low < extents.count, extents[low].range.lowerBound < range.upperBound else {
            // Nothing lies there.
            guard let extent else { return }
            cost += extent.cost
            return extents.insert(extent, at: low)
        }
        // Usually it is one extent, all of which goes.
        if isAlone(low, in: range), owner == nil || owner == extents[low].owner {
            cost += (extent?.cost ?? 0) - extents[low].cost
            if let extent { extents[low] = extent } else { extents.remove(at: low) }
            return
        }
        var high = low
        var (before, after): ([Extent], [Extent]) = ([], [])
        while high < extents.count, extents[high].range.lowerBound < range.upperBound {
            let old = extents[high]
            high += 1
            cost -= old.cost
            guard owner == nil || owner == old.owner else {
                before.append(old)
                continue
            }
            if old.range.lowerBound < range.lowerBound {
                before.append(old.clipped(to: old.range.lowerBound..<range.lowerBound))
            }
            if old.range.upperBound > range.upperBound {
                after.append(old.clipped(to: range.upperBound..<old.range.upperBound))
            }
        }
        if let extent { before.append(extent) }
        before += after
        for extent in before { cost += extent.cost }
        extents.replaceSubrange(low..<high, with: before)
    }

    /// Whether `range` covers the extent at `place` whole, and touches none behind it.
    private func isAlone(_ place: Int, in range: Range<UInt64>) -> Bool {
        let own = extents[place].range
        guard own.lowerBound >= range.lowerBound, own.upperBound <= range.upperBound
        else { return false }
        return place + 1 == extents.count || extents[place + 1].range.lowerBound >= range.upperBound
    }

    /// Splits `range` into parts that an extent covers and parts that none does, in order.
    func parts(of range: Range<UInt64>) -> [(range: Range<UInt64>, extent: Extent?)] {
        var parts: [(range: Range<UInt64>, extent: Extent?)] = []
        var (offset, index) = (range.lowerBound, position(above: range.lowerBound))
        while offset < range.upperBound {
            guard index < extents.count, extents[index].range.lowerBound < range.upperBound else {
                parts.append((offset..<range.upperBound, nil))
                break
            }
            let extent = extents[index]
            if extent.range.lowerBound > offset {
                parts.append((offset..<extent.range.lowerBound, nil))
            }
            let part = extent.range.clamped(to: range)
            parts.append((part, extent.clipped(to: part)))
            offset = part.upperBound
            index += 1
        }
        return parts
    }
}
