package import Mesh

/// What one node asks of another beside Raft and gossip. Lost notes are asked again.
package enum Note: Hashable, Sendable {
    /// Propose this command of the sender's session.
    case propose(sequence: UInt64, payload: [UInt8])
    /// You are the primary: hand over to this region.
    case handOver(RegionName)
    /// The hand-over that was asked for can't be.
    case declined(RegionName, reason: String)

    /// The sender's log says that you are no member any more.
    case former

    /// Bounds a note before it is read.
    package static let byteCountMax = 8 << 10
    package static let reasonBytesMax = 512

    package enum Refused: Error, Hashable, Sendable {
        case oversized(Int)
        case truncated
        case trailing(Int)
        case unknownKind(UInt8)
        case region
        /// Longer than any that is sent, or no UTF-8.
        case reason
    }

    /// Kind u8; then sequence u64 and payload, or region length u8, region and reason, or nothing.
    package var encoded: [UInt8] {
        switch self {
        case .propose(let sequence, let payload):
            var bytes: [UInt8] = [1]
            bytes.append(littleEndian: sequence)
            return bytes + payload
        case .handOver(let region): return [2, UInt8(region.text.utf8.count)] + region.text.utf8
        case .declined(let region, let reason):
            return [3, UInt8(region.text.utf8.count)] + region.text.utf8
                + Self.shortened(reason).utf8
        case .former: return [4]
        }
    }

    /// Whole characters, or it could not be read.
    private static func shortened(_ reason: String) -> String {
        var (text, byteCount) = (reason[...], reason.utf8.count)
        while byteCount > reasonBytesMax, let last = text.unicodeScalars.popLast() {
            byteCount -= UTF8.width(last)
        }
        return String(text)
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
                self = .declined(region, reason: try reader.reason())
            case 4: self = .former
            case let kind: throw Refused.unknownKind(kind)
            }
            guard reader.remaining == 0 else { throw Refused.trailing(reader.remaining) }
        } catch let refused as Refused {
            throw refused
        } catch {
            throw .truncated
        }
    }
}

extension ByteReader {
    fileprivate mutating func reason() throws -> String {
        guard remaining <= Note.reasonBytesMax,
            let reason = String(validating: try take(remaining), as: UTF8.self)
        else { throw Note.Refused.reason }
        return reason
    }

    fileprivate mutating func region() throws -> RegionName {
        let text = String(decoding: try take(Int(try u8())), as: UTF8.self)
        guard let region = RegionName(text) else { throw Note.Refused.region }
        return region
    }
}
