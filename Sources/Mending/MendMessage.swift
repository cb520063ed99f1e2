package import Mesh
package import Record

/// What a node with a damaged log and its peers say to each other. Lost ones are asked again.
package enum MendMessage: Hashable, Sendable {
    /// Have you any of these entries? `MendSession` names who asks why: an answer that comes late must
    /// not pass for one of now.
    case ask(MendSession, [EntryIdentity])
    case give(Entry)
    /// Of these, no bytes can be given.
    case say(MendSession, Answer, [EntryIdentity])
    /// A base at that index or above; from `offset` on of the one that is named, or another.
    case askBase(atLeast: LogIndex, of: BaseIdentity, offset: UInt64)
    case basePiece(BasePiece)

    /// Why an entry is not given.
    package enum Answer: UInt8, CaseIterable, Hashable, Sendable {
        /// This log has another entry there, or none.
        case lacks = 1
        /// This log's base stands for it.
        case compacted = 2
    }

    /// A kind is one of these; what else travels on this lane has others.
    package static let kinds: ClosedRange<UInt8> = 64...68
    package static let entriesMax = 128
    /// An answer to one question has no more than this of entries, or one.
    package static let giveByteCountMax = 1 << 20
    /// What one piece of a base is given as: so much takes half a second at 1 Mbit/s.
    package static let pieceByteCount = 64 << 10
    /// What a former release gives.
    package static let pieceByteCountMax = 1 << 20
    /// Bounds a message before it is read.
    package static let byteCountMax = Entry.byteCountMax + 128

    package static func isOne(_ bytes: [UInt8]) -> Bool { bytes.first.map(kinds.contains) ?? false }
}

/// One mend of one log.
package struct MendSession: Hashable, Sendable {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

package struct BasePiece: Hashable, Sendable {
    package let base: BaseIdentity
    package let offset: UInt64
    package let bytes: [UInt8]
    package init(base: BaseIdentity, offset: UInt64, bytes: [UInt8]) {
        (self.base, self.offset, self.bytes) = (base, offset, bytes)
    }
}

extension BaseIdentity {
    package static let none = BaseIdentity(.empty)
}

/// Why bytes are no such message.
package enum MendMessageRefused: Error, Hashable, Sendable {
    case oversized(Int)
    case truncated
    case trailing(Int)
    case unknownKind(UInt8)
    case unlawful(String)
    case entry(EntryRefused)
}

extension MendMessage {
    /// Kind u8; then what the case holds, in its order, little-endian.
    package var encoded: [UInt8] {
        switch self {
        case .ask(let session, let entries):
            var bytes: [UInt8] = [64]
            bytes.append(littleEndian: session.rawValue)
            return bytes + Self.list(entries)
        case .give(let entry): return [65] + entry.bytes
        case .say(let session, let answer, let entries):
            var bytes: [UInt8] = [66]
            bytes.append(littleEndian: session.rawValue)
            return bytes + [answer.rawValue] + Self.list(entries)
        case .askBase(let index, let base, let offset):
            var bytes: [UInt8] = [67]
            bytes.append(name: index)
            bytes.append(base)
            bytes.append(littleEndian: offset)
            return bytes
        case .basePiece(let piece):
            var bytes: [UInt8] = [68]
            bytes.append(piece.base)
            bytes.append(littleEndian: piece.offset)
            return bytes + piece.bytes
        }
    }

    private static func list(_ entries: [EntryIdentity]) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(entries.count)]
        for entry in entries {
            bytes.append(name: entry.position.index)
            bytes.append(name: entry.position.term)
            bytes.append(littleEndian: entry.checksum)
            bytes.append(littleEndian: entry.byteCount)
        }
        return bytes
    }

    package init(parsing bytes: [UInt8]) throws(MendMessageRefused) {
        guard bytes.count <= Self.byteCountMax else { throw .oversized(bytes.count) }
        var reader = ByteReader(bytes)
        do {
            self = try Self.read(&reader, bytes)
        } catch let refused as MendMessageRefused {
            throw refused
        } catch let refused as EntryRefused {
            throw .entry(refused)
        } catch {
            throw .truncated
        }
        guard reader.remaining == 0 else { throw .trailing(reader.remaining) }
    }

    private static func read(_ reader: inout ByteReader, _ bytes: [UInt8]) throws -> MendMessage {
        switch try reader.u8() {
        case 64:
            let session = MendSession(try reader.u64())
            return .ask(session, try reader.entries())
        case 65: return .give(try Entry(parsing: reader.take(reader.remaining)).alone(in: bytes))
        case 66:
            let session = MendSession(try reader.u64())
            let kind = try reader.u8()
            guard let answer = Answer(rawValue: kind) else {
                throw MendMessageRefused.unlawful("answer \(kind)")
            }
            return .say(session, answer, try reader.entries())
        case 67:
            let index = try reader.name(LogIndex.self)
            return .askBase(atLeast: index, of: try reader.base(), offset: try reader.u64())
        case 68:
            let base = try reader.base()
            let offset = try reader.u64()
            let count = UInt64(reader.remaining)
            guard offset <= UInt64(base.byteCount), count <= UInt64(base.byteCount) - offset,
                count <= UInt64(pieceByteCountMax)
            else { throw MendMessageRefused.unlawful("\(count) bytes at \(offset) of \(base)") }
            let piece = try reader.take(reader.remaining)
            return .basePiece(BasePiece(base: base, offset: offset, bytes: piece))
        case let kind: throw MendMessageRefused.unknownKind(kind)
        }
    }
}

extension Entry {
    /// Refuses what stands behind the entry in its message.
    fileprivate func alone(in message: [UInt8]) throws -> Entry {
        let rest = message.count - 1 - bytes.count
        guard rest == 0 else { throw MendMessageRefused.trailing(rest) }
        return self
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ base: BaseIdentity) {
        append(name: base.position.index)
        append(name: base.position.term)
        append(littleEndian: base.checksum)
        append(littleEndian: base.byteCount)
    }
}

extension ByteReader {
    fileprivate mutating func position() throws -> Position {
        let index = try name(LogIndex.self)
        let position = Position(index: index, term: try name(Term.self))
        guard position.index <= .countMax, position.term <= .countMax else {
            throw MendMessageRefused.unlawful("position \(position)")
        }
        return position
    }

    fileprivate mutating func entries() throws -> [EntryIdentity] {
        let count = Int(try u8())
        guard count <= MendMessage.entriesMax else {
            throw MendMessageRefused.unlawful("\(count) entries")
        }
        var entries: [EntryIdentity] = []
        for _ in 0..<count {
            let position = try position()
            let checksum = try u32()
            entries.append(
                EntryIdentity(position: position, checksum: checksum, byteCount: try u32()))
        }
        return entries
    }

    fileprivate mutating func base() throws -> BaseIdentity {
        let position = try position()
        let checksum = try u32()
        let byteCount = try u32()
        guard byteCount <= Base.contentsByteCountMax else {
            throw MendMessageRefused.unlawful("a base of \(byteCount) bytes")
        }
        return BaseIdentity(position: position, checksum: checksum, byteCount: byteCount)
    }
}
