package import Mesh

/// What one node asks of another beside Raft and gossip. Lost notes are asked again.
package enum Note: Hashable, Sendable {
    /// Propose this command of the sender's session.
    case propose(sequence: UInt64, payload: [UInt8])
    /// You are the primary: hand over to this region.
    case handOver(RegionName)
    /// The hand-over that was asked for can't be.
    case declined(RegionName, reason: String)

    /// Bounds a note before it is read.
    package static let byteCountMax = 8 << 10
    package static let reasonBytesMax = 512

    package enum Refused: Error, Hashable, Sendable {
        case oversized(Int)
        case truncated
        case unknownKind(UInt8)
        case region
    }

    /// Kind u8; then sequence u64 and payload, or region length u8, region and reason.
    package var encoded: [UInt8] {
        switch self {
        case .propose(let sequence, let payload):
            var bytes: [UInt8] = [1]
            bytes.append(littleEndian: sequence)
            return bytes + payload
        case .handOver(let region): return [2, UInt8(region.text.utf8.count)] + region.text.utf8
        case .declined(let region, let reason):
            return [3, UInt8(region.text.utf8.count)] + region.text.utf8
                + reason.utf8.prefix(Self.reasonBytesMax)
        }
    }

    package init(parsing bytes: [UInt8]) throws(Refused) {
        guard bytes.count <= Self.byteCountMax else { throw .oversized(bytes.count) }
        var reader = ByteReader(bytes)
        do {
            switch try reader.u8() {
            case 1:
                self = .propose(
                    sequence: try reader.u64(), payload: try reader.take(reader.remaining))
            case 2: self = .handOver(try reader.region())
            case 3:
                let region = try reader.region()
                let reason = try reader.take(reader.remaining)
                self = .declined(region, reason: String(decoding: reason, as: UTF8.self))
            case let kind: throw Refused.unknownKind(kind)
            }
        } catch let refused as Refused {
            throw refused
        } catch {
            throw .truncated
        }
    }
}

extension ByteReader {
    fileprivate mutating func region() throws -> RegionName {
        let text = String(decoding: try take(Int(try u8())), as: UTF8.self)
        guard let region = RegionName(text) else { throw Note.Refused.region }
        return region
    }
}
