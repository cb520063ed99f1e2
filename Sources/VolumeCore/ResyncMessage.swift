package import Mesh

/// What a replica that lacks something and its source say to each other. Lost ones are asked again.
package enum ResyncMessage: Hashable, Sendable {
    /// What are your volumes, and what changed in them above `since`? From `offset` on of the answer
    /// that `id` names, or of a new one.
    case askManifest(since: LogIndex, id: ManifestID, offset: UInt64)
    case manifest(ManifestPart)
    /// As of `since` or later: what the asker has applied.
    case askPiece(Piece, since: LogIndex)
    /// nil bytes are zeros.
    case piece(Piece, asOf: LogIndex, bytes: [UInt8]?)
    /// What are the sums of your blocks there, if nothing changed them since that entry?
    case askSums(Piece, since: LogIndex)
    /// nil where something did, or nobody knows.
    case sums(Piece, since: LogIndex, [UInt32]?)

    /// Kinds from here on: what else travels on this lane has lower ones.
    package static let kindMin: UInt8 = 16
    package static let manifestPartByteCountMax = 1 << 20
    /// Bounds a message before it is read.
    package static let byteCountMax = manifestPartByteCountMax + 64
}

/// Tells one moment's manifest from every other.
package struct ManifestID: Hashable, Sendable {
    package static let none = ManifestID(applied: .zero, checksum: 0)
    package let applied: LogIndex
    package let checksum: UInt32
    package init(applied: LogIndex, checksum: UInt32) {
        (self.applied, self.checksum) = (applied, checksum)
    }
}

package struct ManifestPart: Hashable, Sendable {
    package let id: ManifestID
    /// Of the whole.
    package let byteCount: UInt64
    package let offset: UInt64
    package let bytes: [UInt8]
    package init(id: ManifestID, byteCount: UInt64, offset: UInt64, bytes: [UInt8]) {
        (self.id, self.byteCount, self.offset, self.bytes) = (id, byteCount, offset, bytes)
    }
}

/// Why bytes are no such message.
package enum ResyncMessageRefused: Error, Hashable, Sendable {
    case oversized(Int)
    case truncated
    case trailing(Int)
    case unknownKind(UInt8)
    case unlawful(String)
}

extension ResyncMessage {
    /// Kind u8; then what the case holds, in its order, little-endian.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .askManifest(let since, let id, let offset):
            bytes.append(16)
            bytes.append(name: since)
            bytes.append(id)
            bytes.append(littleEndian: offset)
        case .manifest(let part):
            bytes.append(17)
            bytes.append(part.id)
            bytes.append(littleEndian: part.byteCount)
            bytes.append(littleEndian: part.offset)
            bytes += part.bytes
        case .askPiece(let piece, let index):
            bytes.append(18)
            bytes.append(piece)
            bytes.append(name: index)
        case .piece(let piece, let index, let data):
            bytes.append(19)
            bytes.append(piece)
            bytes.append(name: index)
            bytes.append(data == nil ? 0 : 1)
            bytes += data ?? []
        case .askSums(let piece, let index):
            bytes.append(20)
            bytes.append(piece)
            bytes.append(name: index)
        case .sums(let piece, let index, let sums):
            bytes.append(21)
            bytes.append(piece)
            bytes.append(name: index)
            bytes.append(sums == nil ? 0 : 1)
            for sum in sums ?? [] { bytes.append(littleEndian: sum) }
        }
        return bytes
    }

    package init(parsing bytes: [UInt8]) throws(ResyncMessageRefused) {
        guard bytes.count <= Self.byteCountMax else { throw .oversized(bytes.count) }
        var reader = ByteReader(bytes)
        do {
            self = try Self(&reader)
        } catch let refused as ResyncMessageRefused {
            throw refused
        } catch { throw .truncated }
        guard reader.remaining == 0 else { throw .trailing(reader.remaining) }
    }

    private init(_ reader: inout ByteReader) throws {
        switch try reader.u8() {
        case 16:
            self = .askManifest(
                since: try reader.index(), id: try reader.manifestID(), offset: try reader.u64())
        case 17:
            let (id, byteCount, offset) = (
                try reader.manifestID(), try reader.u64(), try reader.u64()
            )
            guard byteCount <= VolumeState.byteCountMax, offset <= byteCount,
                UInt64(reader.remaining) <= byteCount - offset
            else { throw ResyncMessageRefused.unlawful("part at \(offset) of \(byteCount)") }
            self = .manifest(
                ManifestPart(
                    id: id, byteCount: byteCount, offset: offset,
                    bytes: try reader.take(reader.remaining)))
        case 18: self = .askPiece(try reader.piece(), since: try reader.name())
        case 19:
            let (piece, index) = (try reader.piece(), try reader.index())
            let hasBytes = try reader.u8()
            guard hasBytes <= 1, reader.remaining == (hasBytes == 1 ? piece.range.count : 0) else {
                throw ResyncMessageRefused.unlawful("\(reader.remaining) bytes in \(piece)")
            }
            self = .piece(
                piece, asOf: index,
                bytes: hasBytes == 1 ? try reader.take(reader.remaining) : nil)
        case 20: self = .askSums(try reader.piece(), since: try reader.index())
        case 21:
            let (piece, index) = (try reader.piece(), try reader.index())
            let size = Int(BlockSum.blockByteCount)
            let count = (piece.range.count + size - 1) / size
            let hasSums = try reader.u8()
            guard hasSums <= 1, reader.remaining == (hasSums == 1 ? 4 * count : 0) else {
                throw ResyncMessageRefused.unlawful("\(reader.remaining) bytes of sums of \(piece)")
            }
            var sums: [UInt32] = []
            for _ in 0..<(hasSums == 1 ? count : 0) { sums.append(try reader.u32()) }
            self = .sums(piece, since: index, hasSums == 1 ? sums : nil)
        case let kind: throw ResyncMessageRefused.unknownKind(kind)
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ id: ManifestID) {
        append(name: id.applied)
        append(littleEndian: id.checksum)
    }

    fileprivate mutating func append(_ piece: Piece) {
        append(name: piece.volume)
        append(littleEndian: piece.range.lowerBound)
        append(littleEndian: UInt32(piece.range.count))
    }
}

extension ByteReader {
    /// One that a log can have.
    fileprivate mutating func index() throws -> LogIndex {
        let index: LogIndex = try name()
        guard index <= .countMax else { throw ResyncMessageRefused.unlawful("the index \(index)") }
        return index
    }

    fileprivate mutating func manifestID() throws -> ManifestID {
        ManifestID(applied: try index(), checksum: try u32())
    }

    fileprivate mutating func piece() throws -> Piece {
        let (volume, offset, count) = (try name(VolumeID.self), try u64(), UInt64(try u32()))
        guard count > 0, count <= VolumeLimits.pieceByteCountMax,
            offset <= VolumeLimits.volumeByteCountMax
        else { throw ResyncMessageRefused.unlawful("a piece of \(count) at \(offset)") }
        return Piece(volume, offset..<offset + count)
    }
}
