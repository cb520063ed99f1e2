import Mesh
import Record

/// A base as a file: a head, then chunks that each carry a checksum seeded with the head's, so that
/// no chunk can stand in for another base's.
enum BaseFile {
    static let magic: UInt64 = 0x3153_4142_444c_4f48  // "HOLDBAS1"
    static let headerByteCount = 64
    static let chunkByteCount = 64 << 10
    static let chunkHeaderByteCount = 8
    /// The longest lawful file: what is longer is not read at all.
    static let byteCountMax =
        headerByteCount + Base.contentsByteCountMax
        + (Base.contentsByteCountMax / chunkByteCount + 1) * chunkHeaderByteCount

    static func pieces(_ base: Base, number: UInt64, cluster: ClusterID) -> [[UInt8]] {
        var head = [UInt8](repeating: 0, count: headerByteCount)
        head.store(magic, at: 0, count: 8)
        head.store(1, at: 12, count: 4)
        head.store(cluster.high, at: 16, count: 8)
        head.store(cluster.low, at: 24, count: 8)
        head.store(number, at: 32, count: 8)
        head.store(base.position.index.rawValue, at: 40, count: 8)
        head.store(base.position.term.rawValue, at: 48, count: 8)
        head.store(UInt64(base.contents.count), at: 56, count: 8)
        let seed = Checksum.crc32c(head, in: 12..<headerByteCount)
        head.store(UInt64(seed), at: 8, count: 4)
        var pieces = [head]
        var offset = 0
        while offset < base.contents.count {
            let end = min(offset + chunkByteCount, base.contents.count)
            var chunkHead: [UInt8] = []
            let sum = Checksum.crc32c(
                base.contents, in: offset..<end, seed: seed &+ UInt32(offset / chunkByteCount))
            chunkHead.append(littleEndian: sum)
            chunkHead.append(littleEndian: UInt32(end - offset))
            pieces.append(chunkHead)
            pieces.append(Array(base.contents[offset..<end]))
            offset = end
        }
        return pieces
    }

    struct Refused: Error {
        let offset: Int
        let why: String
    }

    static func parse(_ bytes: [UInt8], as reference: BaseReference) throws(Refused) -> Base {
        guard bytes.count >= headerByteCount, bytes.load(at: 0, count: 8) == magic else {
            throw Refused(offset: 0, why: "no base begins here")
        }
        let seed = UInt32(bytes.load(at: 8, count: 4))
        let count = bytes.load(at: 56, count: 8)
        guard Checksum.crc32c(bytes, in: 12..<headerByteCount) == seed,
            bytes.load(at: 12, count: 4) == 1,
            bytes.load(at: 32, count: 8) == reference.number,
            bytes.load(at: 40, count: 8) == reference.position.index.rawValue,
            bytes.load(at: 48, count: 8) == reference.position.term.rawValue,
            count == UInt64(reference.contentsByteCount), count <= UInt64(bytes.count)
        else { throw Refused(offset: 0, why: "its head is damaged, or another base's") }
        var contents: [UInt8] = []
        contents.reserveCapacity(Int(count))
        var offset = headerByteCount
        while contents.count < Int(count) {
            let length = min(chunkByteCount, Int(count) - contents.count)
            let start = offset + chunkHeaderByteCount
            guard start + length <= bytes.count else {
                throw Refused(offset: offset, why: "the file ends inside a chunk")
            }
            let sum = Checksum.crc32c(
                bytes, in: start..<start + length,
                seed: seed &+ UInt32(contents.count / chunkByteCount))
            guard bytes.load(at: offset, count: 4) == UInt64(sum),
                bytes.load(at: offset + 4, count: 4) == UInt64(length)
            else { throw Refused(offset: offset, why: "a chunk does not match its checksum") }
            contents.append(contentsOf: bytes[start..<start + length])
            offset = start + length
        }
        guard offset == bytes.count, Checksum.crc32c(contents) == reference.checksum else {
            throw Refused(offset: offset, why: "it is not the base that the log names")
        }
        return Base(position: reference.position, contents: contents)
    }
}
