internal import Mesh
internal import Sealing

/// The frame that all objects share: header, pieces that are sealed one by one, a padding, a closing
/// piece that tells what the pieces are, and a foot that tells where that begins.
enum SealedObject {
    static let footByteCount = 16
    static let footMagic: UInt64 = 0x3144_4e45_5244_4c48  // "HLDREND1"
    /// Of the closing piece and the padding; the others count up from 0.
    static let closingNumber = UInt32.max
    static let paddingNumber = UInt32.max - 1
    /// The closing piece begins and the object ends at whole blocks: whoever sees it learns about how much
    /// is in it, and no length of what is.
    static let blockByteCount = 4_096

    /// Closes the object behind its last piece.
    static func close(_ bytes: inout [UInt8], _ words: [UInt8], key: SealKey) {
        let gap = missing(bytes.count)
        if gap > 0 {
            let zeros = [UInt8](
                repeating: 0, count: gap < SealKey.tagByteCount ? gap + blockByteCount : gap)
            key.seal(
                zeros.span.extracting(SealKey.tagByteCount...), number: paddingNumber,
                binding: [], onto: &bytes)
        }
        let start = bytes.count
        let whole = start + words.count + SealKey.tagByteCount + footByteCount
        let plain = words + [UInt8](repeating: 0, count: missing(whole))
        key.seal(plain.span, number: closingNumber, binding: binding(start), onto: &bytes)
        bytes.append(littleEndian: UInt64(bytes.count - start))
        bytes.append(littleEndian: footMagic)
    }

    /// Bytes to the next whole block.
    private static func missing(_ count: Int) -> Int {
        (blockByteCount - count % blockByteCount) % blockByteCount
    }

    /// Where the closing piece begins, by an object's last bytes.
    static func closingStart(_ tail: [UInt8], of byteCount: Int) throws(ObjectDamage) -> Int {
        let shortest = SealedHeader.byteCount + SealKey.tagByteCount + footByteCount
        guard byteCount >= shortest, tail.count >= footByteCount else {
            throw .truncated(wanted: shortest, have: min(byteCount, tail.count))
        }
        let foot = tail.count - footByteCount
        guard tail.load(at: foot + 8, count: 8) == footMagic else { throw .end }
        let count = tail.load(at: foot, count: 8)
        guard count >= UInt64(SealKey.tagByteCount),
            count <= UInt64(byteCount - footByteCount - SealedHeader.byteCount)
        else { throw .end }
        return byteCount - footByteCount - Int(count)
    }

    /// What the closing piece says, and where it begins. `tail` are an object's last bytes, or all of them.
    static func closing(
        _ tail: [UInt8], of byteCount: Int, key: SealKey
    ) throws(ObjectDamage) -> (words: [UInt8], start: Int) {
        let start = try closingStart(tail, of: byteCount)
        let own = start - (byteCount - tail.count)
        guard own >= 0 else {
            throw .truncated(wanted: byteCount - start, have: tail.count)
        }
        let sealed = tail.span.extracting(own..<tail.count - footByteCount)
        guard let words = key.open(sealed, number: closingNumber, binding: binding(start)) else {
            throw .end
        }
        return (words, start)
    }

    /// What lies between the end of the last piece and the closing one, which is nothing or a padding.
    static func padding(behind end: Int, upTo start: Int) throws(ObjectDamage) -> Range<Int> {
        guard
            start == end
                || (SealKey.tagByteCount..<blockByteCount + SealKey.tagByteCount)
                    .contains(start - end)
        else { throw .contents("its pieces end at \(end), not at \(start)") }
        return end..<start
    }

    /// The same where the bytes are at hand.
    static func checkPadding(
        _ bytes: [UInt8], _ range: Range<Int>, key: SealKey
    ) throws(ObjectDamage) {
        guard !range.isEmpty else { return }
        let sealed = bytes.span.extracting(range)
        guard let plain = key.open(sealed, number: paddingNumber, binding: []),
            plain[...].isZero
        else { throw .piece(paddingNumber, offset: range.lowerBound) }
    }

    /// What lies before it can't get longer or shorter.
    private static func binding(_ start: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: UInt64(start))
        return bytes
    }
}
