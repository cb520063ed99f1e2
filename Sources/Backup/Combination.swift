/// One whole object of copies that are damaged in different places.
enum Combination {
    static let blockByteCount = 4_096
    /// Each block in which copies differ doubles what has to be tried.
    static let blocksMax = 10

    /// nil where no choice among the blocks in which two copies differ is whole.
    static func of(_ copies: [[UInt8]], where isWhole: ([UInt8]) -> Bool) -> [UInt8]? {
        for (number, one) in copies.enumerated() {
            for other in copies[(number + 1)...] where other.count == one.count {
                if let whole = of(one, other, where: isWhole) { return whole }
            }
        }
        return nil
    }

    private static func of(
        _ one: [UInt8], _ other: [UInt8], where isWhole: ([UInt8]) -> Bool
    ) -> [UInt8]? {
        let blocks = stride(from: 0, to: one.count, by: blockByteCount)
            .map { $0..<min($0 + blockByteCount, one.count) }
            .filter { one[$0] != other[$0] }
        guard (1...blocksMax).contains(blocks.count) else { return nil }
        // All of one copy and all of the other are known to be damaged.
        for choice in 1..<(1 << blocks.count) - 1 {
            var candidate = one
            for (bit, block) in blocks.enumerated() where choice >> bit & 1 == 1 {
                candidate.replaceSubrange(block, with: other[block])
            }
            if isWhole(candidate) { return candidate }
        }
        return nil
    }
}
