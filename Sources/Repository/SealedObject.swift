internal import Mesh
internal import Sealing

/// The frame that all objects share: header, pieces that are sealed one by one, a closing piece that
/// tells what they are, and a foot that tells where that begins.
enum SealedObject {
    static let footByteCount = 16
    static let footMagic: UInt64 = 0x3144_4e45_5244_4c48  // "HLDREND1"
    /// The closing piece's number; the others count up from 0.
    static let closingNumber = UInt32.max
    /// Whole blocks tell whoever sees objects little of what is in them.
    static let blockByteCount = 4_096

    /// Closes the object: `words` and as many zeros as fill a block.
    static func close(_ bytes: inout [UInt8], _ words: [UInt8], key: SealKey) {
        let start = bytes.count
        let whole = start + words.count + SealKey.tagByteCount + footByteCount
        let padding = (blockByteCount - whole % blockByteCount) % blockByteCount
        let plain = words + [UInt8](repeating: 0, count: padding)
        key.seal(
            plain.span, number: closingNumber, binding: binding(start), onto: &bytes)
        bytes.append(littleEndian: UInt64(bytes.count - start))
        bytes.append(littleEndian: footMagic)
    }

    /// What the closing piece says, and where it begins.
    static func closing(_ bytes: [UInt8], key: SealKey) throws(ObjectDamage) -> (
        words: [UInt8], start: Int
    ) {
        let shortest = SealedHeader.byteCount + SealKey.tagByteCount + footByteCount
        guard bytes.count >= shortest else {
            throw .truncated(wanted: shortest, have: bytes.count)
        }
        let foot = bytes.count - footByteCount
        guard bytes.load(at: foot + 8, count: 8) == footMagic else { throw .end }
        let count = bytes.load(at: foot, count: 8)
        guard count <= UInt64(foot - SealedHeader.byteCount) else { throw .end }
        let start = foot - Int(count)
        let sealed = bytes.span.extracting(start..<foot)
        guard let words = key.open(sealed, number: closingNumber, binding: binding(start)) else {
            throw .end
        }
        return (words, start)
    }

    /// What lies before it can't get longer or shorter.
    private static func binding(_ start: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: UInt64(start))
        return bytes
    }
}
