package import Mesh
package import Record

/// Why bytes are not a letter, or not a part of one.
package enum LetterRefused: Error, Hashable, Sendable, CustomStringConvertible {
    case truncated(wanted: Int, remaining: Int)
    case oversized(Int)
    case trailing(Int)
    case unknownVersion(UInt8)
    case unknownKind(UInt8)
    case unlawful(String)
    case entry(EntryRefused)

    package var description: String {
        switch self {
        case .truncated(let wanted, let remaining): "\(wanted) bytes wanted, \(remaining) left"
        case .oversized(let count): "\(count) bytes exceed the limit"
        case .trailing(let count): "\(count) bytes follow the end"
        case .unknownVersion(let version): "letter version \(version) is not known here"
        case .unknownKind(let kind): "letter kind \(kind) is not known here"
        case .unlawful(let what): "\(what) is not lawful"
        case .entry(let refusal): refusal.description
        }
    }
}

extension Letter {
    package static let version: UInt8 = 2
    /// No letter without a snapshot has more before its entries.
    private static var headByteCount: Int { 96 }
    /// Header, one batch, and one entry that alone exceeds the batch.
    package static let byteCountMax = 4 << 20

    package var encoded: [UInt8] {
        let entries = body.entries
        var bytes = head(with: entries.reduce(0) { $0 + $1.bytes.count })
        for entry in entries { bytes += entry.bytes }
        return bytes
    }

    /// The encoding in parts, so that entries go from the log to the wire without a copy.
    package var pieces: [[UInt8]] {
        [head(with: 0)] + body.entries.map(\.bytes)
    }

    /// All but the entries, with room for so much behind it.
    private func head(with room: Int) -> [UInt8] {
        var head: [UInt8] = []
        head.reserveCapacity(Self.headByteCount + room)
        head.append(littleEndian: UInt16(body.kind) << 8 | UInt16(Self.version))
        head.append(
            littleEndian: [from.rawValue, to.rawValue, group.rawValue, term.rawValue])
        body.encode(into: &head)
        return head
    }

    /// Every count is checked against the bytes at hand before anything is allocated.
    package init(parsing bytes: [UInt8]) throws(LetterRefused) {
        guard bytes.count <= Self.byteCountMax else { throw .oversized(bytes.count) }
        do {
            var reader = ByteReader(bytes)
            let version = try reader.u8()
            guard version == Self.version else { throw LetterRefused.unknownVersion(version) }
            let kind = try reader.u8()
            from = try reader.name()
            to = try reader.name()
            group = try reader.name()
            term = try reader.bounded()
            body = try Body(kind: kind, &reader, bytes)
            guard reader.remaining == 0 else { throw LetterRefused.trailing(reader.remaining) }
        } catch {
            throw LetterRefused(error)
        }
    }
}

extension LetterRefused {
    fileprivate init(_ error: any Error) {
        switch error {
        case let refused as LetterRefused: self = refused
        case let refused as EntryRefused: self = .entry(refused)
        case let short as ByteReader.Truncated:
            self = .truncated(wanted: short.wanted, remaining: short.remaining)
        default: self = .unlawful("\(error)")
        }
    }
}

extension Letter.Body {
    fileprivate var entries: [Entry] {
        switch self {
        case .append(_, _, let entries): entries
        case .offer(let offer): offer.entries
        default: []
        }
    }

    fileprivate var kind: UInt8 {
        switch self {
        case .preVote: 1
        case .preVoteAnswer: 2
        case .vote: 3
        case .voteAnswer: 4
        case .append: 5
        case .appended: 6
        case .appendRefused: 7
        case .heartbeat: 8
        case .heard: 9
        case .snapshot: 10
        case .snapshotHeard: 11
        case .timeoutNow: 12
        case .outdated: 13
        case .offer: 14
        case .offerWanted: 15
        }
    }

    fileprivate func encode(into bytes: inout [UInt8]) {
        switch self {
        case .preVote(let last), .vote(let last): bytes.append(last)
        case .preVoteAnswer(let granted), .voteAnswer(let granted): bytes.append(granted ? 1 : 0)
        case .append(let previous, let commit, let entries):
            bytes.append(
                littleEndian: [previous.index.rawValue, previous.term.rawValue, commit.rawValue])
            // The entries follow, or are pieces of their own.
            bytes.append(littleEndian: UInt32(entries.count))
        case .appended(let through): bytes.append(name: through)
        case .appendRefused(let previous, let hint):
            bytes.append(name: previous)
            bytes.append(hint)
        case .heartbeat(let heartbeat):
            bytes.append(
                littleEndian: [
                    heartbeat.previous.index.rawValue, heartbeat.previous.term.rawValue,
                    heartbeat.commit.rawValue, heartbeat.floor.rawValue, heartbeat.round,
                    heartbeat.measured.nanoseconds,
                ])
        case .heard(let round, let holds, let isWhole, let through, let base):
            bytes.append(littleEndian: round)
            // Nobody but a replica that is not whole says more than earlier releases did.
            bytes.append((holds ? 1 : 0) | (isWhole ? 0 : 2))
            bytes.append(littleEndian: [through.rawValue, base.rawValue])
        case .snapshot(let chunk):
            bytes.append(chunk.position)
            bytes.append(littleEndian: UInt32(chunk.byteCount))
            bytes.append(littleEndian: chunk.checksum)
            bytes.append(littleEndian: UInt32(chunk.offset))
            bytes += chunk.bytes
        case .snapshotHeard(let position, let offset):
            bytes.append(position)
            bytes.append(littleEndian: UInt32(offset))
        case .offer(let offer):
            bytes.append(offer.previous)
            bytes.append(offer.last)
            bytes.append(name: offer.commit)
            bytes.append(littleEndian: UInt32(offer.entries.count))
        case .offerWanted(let place): bytes.append(place)
        case .timeoutNow, .outdated: break
        }
    }

    fileprivate init(kind: UInt8, _ reader: inout ByteReader, _ bytes: [UInt8]) throws {
        switch kind {
        case 1: self = .preVote(last: try reader.position())
        case 2: self = .preVoteAnswer(granted: try reader.flag())
        case 3: self = .vote(last: try reader.position())
        case 4: self = .voteAnswer(granted: try reader.flag())
        case 5:
            self = .append(
                previous: try reader.position(), commit: try reader.bounded(),
                entries: try reader.entries(bytes))
        case 6: self = .appended(through: try reader.bounded())
        case 7: self = .appendRefused(previous: try reader.bounded(), hint: try reader.position())
        case 8:
            self = .heartbeat(
                Letter.Heartbeat(
                    previous: try reader.position(), commit: try reader.bounded(),
                    floor: try reader.bounded(), round: try reader.u64(),
                    measured: Interval(nanoseconds: try reader.u64())))
        case 9:
            let (round, flags) = (try reader.u64(), try reader.u8())
            guard flags <= 3 else { throw LetterRefused.unlawful("flags \(flags)") }
            self = .heard(
                round: round, holds: flags & 1 != 0, isWhole: flags & 2 == 0,
                through: try reader.bounded(), base: try reader.bounded())
        case 10: self = .snapshot(try reader.chunk())
        case 11:
            self = .snapshotHeard(position: try reader.position(), offset: Int(try reader.u32()))
        case 12: self = .timeoutNow
        case 13: self = .outdated
        case 14:
            self = .offer(
                Letter.Offer(
                    previous: try reader.position(), last: try reader.position(),
                    commit: try reader.bounded(), entries: try reader.entries(bytes)))
        case 15: self = .offerWanted(after: try reader.position())
        default: throw LetterRefused.unknownKind(kind)
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ position: Position) {
        append(littleEndian: [position.index.rawValue, position.term.rawValue])
    }

    fileprivate mutating func append(_ nodes: [NodeID]) {
        append(UInt8(nodes.count))
        for node in nodes { append(name: node) }
    }
}

extension ByteReader {
    /// A term or an index that leaves room to count on from: no letter can make this node overflow.
    fileprivate mutating func bounded<N: Name>() throws -> N {
        let name: N = try name()
        guard name <= .countMax else {
            throw LetterRefused.unlawful("the number \(name)")
        }
        return name
    }

    fileprivate mutating func position() throws -> Position {
        Position(index: try bounded(), term: try bounded())
    }

    fileprivate mutating func flag() throws -> Bool {
        let value = try u8()
        guard value <= 1 else { throw LetterRefused.unlawful("flag \(value)") }
        return value == 1
    }

    fileprivate mutating func entries(_ bytes: [UInt8]) throws -> [Entry] {
        let count = Int(try u32())
        guard count <= remaining / Entry.headerByteCount else {
            throw LetterRefused.truncated(
                wanted: count * Entry.headerByteCount, remaining: remaining)
        }
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let entry = try Entry(parsing: bytes, at: offset)
            try skip(entry.bytes.count)
            entries.append(entry)
        }
        return entries
    }

    fileprivate mutating func chunk() throws -> Letter.SnapshotChunk {
        let position = try position()
        let byteCount = Int(try u32())
        let checksum = try u32()
        let offset = Int(try u32())
        guard byteCount <= Base.contentsByteCountMax else {
            throw LetterRefused.oversized(byteCount)
        }
        guard offset <= byteCount, remaining <= byteCount - offset else {
            throw LetterRefused.unlawful("chunk at \(offset) of \(byteCount)")
        }
        return Letter.SnapshotChunk(
            position: position, byteCount: byteCount, checksum: checksum, offset: offset,
            bytes: try take(remaining))
    }

    fileprivate mutating func nodes() throws -> [NodeID] {
        let count = Int(try u8())
        guard count <= Membership.membersMax else { throw LetterRefused.oversized(count) }
        var nodes: [NodeID] = []
        for _ in 0..<count { nodes.append(try name()) }
        return nodes
    }

    fileprivate mutating func electorate() throws -> Electorate {
        let data = try nodes()
        let witness = try nodes()
        guard witness.count <= 1, data.count + witness.count > 0 else {
            throw LetterRefused.unlawful("an electorate of \(data.count) and \(witness.count)")
        }
        guard Set(data + witness).count == data.count + witness.count else {
            throw LetterRefused.unlawful("a member named twice")
        }
        return Electorate(data: data, witness: witness.first)
    }
}

extension Electorate {
    fileprivate func encode(into bytes: inout [UInt8]) {
        bytes.append(data)
        bytes.append(witness.map { [$0] } ?? [])
    }
}

extension Membership {
    package static let version: UInt8 = 1

    package var encoded: [UInt8] {
        var bytes: [UInt8] = [Self.version, outgoing == nil ? 0 : 1]
        voters.encode(into: &bytes)
        outgoing?.encode(into: &bytes)
        bytes.append(learners)
        bytes.append(preferred)
        return bytes
    }

    package init(parsing bytes: [UInt8]) throws(LetterRefused) {
        do {
            var reader = ByteReader(bytes)
            let version = try reader.u8()
            guard version == Self.version else { throw LetterRefused.unknownVersion(version) }
            let joint = try reader.flag()
            self.init(
                voters: try reader.electorate(),
                outgoing: joint ? try reader.electorate() : nil,
                learners: try reader.nodes(), preferred: try reader.nodes())
            guard reader.remaining == 0 else { throw LetterRefused.trailing(reader.remaining) }
        } catch {
            throw LetterRefused(error)
        }
    }
}

extension Base {
    /// The contents as the log keeps and sends them: the membership in force at `position`, then
    /// the state, so that a node that knows nothing else knows its peers.
    package init(position: Position, membership: Membership, state: [UInt8]) {
        let head = membership.encoded
        var contents: [UInt8] = []
        contents.reserveCapacity(4 + head.count + state.count)
        contents.append(littleEndian: UInt32(head.count))
        contents += head
        contents += state
        self.init(position: position, contents: contents)
    }

    package func parsed() throws(LetterRefused) -> (membership: Membership, state: Base) {
        do {
            var reader = ByteReader(contents)
            let membership = try Membership(parsing: try reader.take(Int(try reader.u32())))
            let state = try reader.take(reader.remaining)
            return (membership, Base(position: position, contents: state))
        } catch {
            throw LetterRefused(error)
        }
    }
}
