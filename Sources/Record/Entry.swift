package import Mesh

/// A log entry as it stands on disk and on the wire: a fixed header and its payload, sealed once by
/// the leader and never encoded again.
///
/// Header, little-endian, 64 bytes: crc32c (over all that follows) u32 · byte count u32 · kind u16 ·
/// version u8 · flags u8 · group u32 · term u64 · index u64 · epoch u64 · wall time u64 ·
/// session u64 · sequence u64.
@usableFromInline package struct Entry: Hashable, Sendable {
    @usableFromInline package enum Kind: UInt16, Sendable, CaseIterable {
        /// Nothing: asserts a term (Raft §8) or renews the primary's lease.
        case blank = 1
        /// The voters and learners from here on (Raft §6).
        case membership = 2
        /// A command to the replicated decisions.
        case command = 3
        /// Bytes written to a volume.
        case write = 4
        /// Bytes appended to a stream.
        case stream = 5

        // Asked of every entry, and so not by way of a witness table.
        @inlinable package static func == (a: Self, b: Self) -> Bool {
            switch (a, b) {
            case (.blank, .blank), (.membership, .membership), (.command, .command),
                (.write, .write), (.stream, .stream):
                true
            default: false
            }
        }
    }

    package static let headerByteCount = 64
    /// The longest record, header included: bounds every buffer that one is read into.
    package static let byteCountMax = 1 << 20
    package static let payloadByteCountMax = byteCountMax - headerByteCount
    package static let version: UInt8 = 1

    package let position: Position
    package let kind: Kind
    /// Header and payload, exactly as stored and sent.
    package let bytes: [UInt8]

    package var index: LogIndex { position.index }
    package var term: Term { position.term }
    package var group: GroupID { GroupID(bytes.load(at: 12, count: 4)) }
    package var epoch: Epoch { Epoch(bytes.load(at: 32, count: 8)) }
    /// The leader's wall clock when it sealed the entry, never behind the entry before it.
    package var time: WallTime { WallTime(bytes.load(at: 40, count: 8)) }
    package var session: SessionID { SessionID(bytes.load(at: 48, count: 8)) }
    package var sequence: UInt64 { bytes.load(at: 56, count: 8) }
    package var checksum: UInt32 { UInt32(bytes.load(at: 0, count: 4)) }
    package var payload: ArraySlice<UInt8> { bytes[Self.headerByteCount...] }
    package var payloadByteCount: Int { bytes.count - Self.headerByteCount }

    fileprivate init(position: Position, kind: Kind, bytes: [UInt8]) {
        self.position = position
        self.kind = kind
        self.bytes = bytes
    }

    // The checksum covers every byte, and (index, term) names an entry, so comparing both is
    // comparing the bytes at a hundredth of the cost.
    @usableFromInline package static func == (a: Self, b: Self) -> Bool {
        a.position == b.position && a.checksum == b.checksum && a.bytes.count == b.bytes.count
    }
    @usableFromInline package func hash(into hasher: inout Hasher) {
        hasher.combine(position)
        hasher.combine(checksum)
    }
}

/// Why bytes are not an entry. `damaged` is told from `short`: only the latter may be a torn tail.
package enum EntryRefused: Error, Hashable, Sendable, CustomStringConvertible {
    case short(wanted: Int, have: Int)
    case byteCount(UInt32)
    case damaged(stored: UInt32, computed: UInt32)
    case unknownVersion(UInt8)
    case unknownKind(UInt16)
    /// No log comes so far, and nothing could be counted on from there.
    case position(Position)

    package var description: String {
        switch self {
        case .short(let wanted, let have): "record needs \(wanted) bytes, \(have) are there"
        case .byteCount(let count):
            "record claims \(count) bytes, outside \(Entry.headerByteCount)...\(Entry.byteCountMax)"
        case .damaged(let stored, let computed):
            "record's CRC32C is \(stored), its bytes give \(computed)"
        case .unknownVersion(let version):
            "record version \(version) is not known here; version \(Entry.version) is"
        case .unknownKind(let kind): "record kind \(kind) is not known here"
        case .position(let position): "no log has a record at \(position)"
        }
    }
}

extension Entry {
    /// Reads the entry that begins at `offset`; what follows it is not looked at.
    ///
    /// The length is checked against the bytes at hand before anything is allocated.
    package init(parsing bytes: [UInt8], at offset: Int = 0) throws(EntryRefused) {
        let have = bytes.count - offset
        guard have >= Self.headerByteCount else {
            throw .short(wanted: Self.headerByteCount, have: have)
        }
        let claimed = UInt32(bytes.load(at: offset + 4, count: 4))
        guard (Self.headerByteCount...Self.byteCountMax).contains(Int(claimed)) else {
            throw .byteCount(claimed)
        }
        let count = Int(claimed)
        guard have >= count else { throw .short(wanted: count, have: have) }
        let stored = UInt32(bytes.load(at: offset, count: 4))
        let computed = Checksum.crc32c(bytes, in: offset + 4..<offset + count)
        guard stored == computed else { throw .damaged(stored: stored, computed: computed) }
        guard bytes[offset + 10] == Self.version else { throw .unknownVersion(bytes[offset + 10]) }
        let rawKind = UInt16(bytes.load(at: offset + 8, count: 2))
        guard let kind = Kind(rawValue: rawKind) else { throw .unknownKind(rawKind) }
        let position = Position(
            index: LogIndex(bytes.load(at: offset + 24, count: 8)),
            term: Term(bytes.load(at: offset + 16, count: 8)))
        guard position.index <= .countMax, position.term <= .countMax else {
            throw .position(position)
        }
        let whole = offset == 0 && count == bytes.count
        let own = whole ? bytes : Array(bytes[offset..<offset + count])
        self.init(position: position, kind: kind, bytes: own)
    }
}

/// An entry before the log has given it a place: its payload stands behind an empty header, so
/// that sealing copies nothing.
package struct Draft: Hashable, Sendable {
    package let kind: Entry.Kind
    package let epoch: Epoch
    package let session: SessionID
    package let sequence: UInt64
    private var bytes: [UInt8]

    /// A payload longer than `Entry.payloadByteCountMax` is a bug of the caller, who has to refuse
    /// it at the door.
    package init(
        _ kind: Entry.Kind, epoch: Epoch, session: SessionID = .none, sequence: UInt64 = 0,
        payload: some Collection<UInt8> = []
    ) {
        invariant(
            payload.count <= Entry.payloadByteCountMax, "a payload of \(payload.count) bytes")
        self.kind = kind
        self.epoch = epoch
        self.session = session
        self.sequence = sequence
        bytes = []
        bytes.reserveCapacity(Entry.headerByteCount + payload.count)
        bytes.append(contentsOf: repeatElement(0, count: Entry.headerByteCount))
        bytes.append(contentsOf: payload)
    }

    /// A payload of two pieces, so that a record's header is set before its data in one copy.
    package init(
        _ kind: Entry.Kind, epoch: Epoch, payload header: [UInt8], _ data: ArraySlice<UInt8>
    ) {
        let count = header.count + data.count
        invariant(count <= Entry.payloadByteCountMax, "a payload of \(count) bytes")
        self.kind = kind
        self.epoch = epoch
        session = .none
        sequence = 0
        bytes = []
        bytes.reserveCapacity(Entry.headerByteCount + count)
        bytes.append(contentsOf: repeatElement(0, count: Entry.headerByteCount))
        bytes.append(contentsOf: header)
        bytes.append(contentsOf: data)
    }

    package var byteCount: Int { bytes.count }

    /// Gives the draft its place and its checksum.
    package consuming func sealed(at position: Position, group: GroupID, time: WallTime) -> Entry {
        let (kind, count) = (kind, bytes.count)
        var bytes = self.bytes
        self.bytes = []
        bytes.store(UInt64(count), at: 4, count: 4)
        bytes.store(UInt64(kind.rawValue), at: 8, count: 2)
        bytes.store(UInt64(Entry.version), at: 10, count: 1)
        bytes.store(group.rawValue, at: 12, count: 4)
        bytes.store(position.term.rawValue, at: 16, count: 8)
        bytes.store(position.index.rawValue, at: 24, count: 8)
        bytes.store(epoch.rawValue, at: 32, count: 8)
        bytes.store(time.rawValue, at: 40, count: 8)
        bytes.store(session.rawValue, at: 48, count: 8)
        bytes.store(sequence, at: 56, count: 8)
        bytes.store(UInt64(Checksum.crc32c(bytes, in: 4..<count)), at: 0, count: 4)
        return Entry(position: position, kind: kind, bytes: bytes)
    }
}

/// What tells one entry from every other without its bytes.
package struct EntryIdentity: Hashable, Sendable, CustomStringConvertible {
    package let position: Position
    package let checksum: UInt32
    /// Header included.
    package let byteCount: UInt32

    package init(position: Position, checksum: UInt32, byteCount: UInt32) {
        self.position = position
        self.checksum = checksum
        self.byteCount = byteCount
    }

    package var index: LogIndex { position.index }
    package var description: String { "\(position) (\(byteCount) bytes, CRC \(checksum))" }
}

extension Entry {
    package var identity: EntryIdentity {
        EntryIdentity(position: position, checksum: checksum, byteCount: UInt32(bytes.count))
    }
}
