internal import Decisions
internal import Mesh
internal import Raft
internal import Record
internal import VolumeCore
internal import Wire

extension FuzzTarget {
    static let letters = [
        FuzzTarget(
            "letter", byteCountMax: 1_024, seeds: { Samples.letters.map(sealed) }, body: letter),
        FuzzTarget(
            "record", byteCountMax: 512,
            seeds: { Samples.entries.map { sealed([0, 3] + $0.bytes) } }, body: record),
        FuzzTarget(
            "membership", byteCountMax: 512, seeds: { Samples.memberships }, body: membership),
    ]

    static func sealed(_ bytes: [UInt8]) -> [UInt8] { [Mode.sealed] + bytes }

    /// One encoding for each letter; what it carries can be counted on from.
    private static func letter(_ bytes: [UInt8]) throws -> Verdict {
        var input = Input(bytes)
        let mode = Mode(input.byte())
        var bytes = input.rest()
        if mode.seals { Seal.letter(&bytes) }
        guard let letter = try? Letter(parsing: bytes) else { return .refused }
        try promise(letter.encoded == bytes, "a letter has one encoding")
        if case .append(_, _, let entries) = letter.body {
            for entry in entries { try check(entry) }
        }
        return .accepted
    }

    /// A record is taken with its own checksum alone, and its payload has one encoding.
    private static func record(_ bytes: [UInt8]) throws -> Verdict {
        var input = Input(bytes)
        let (mode, bit) = (Mode(input.byte()), input.word())
        var bytes = input.rest()
        if mode.seals { _ = Seal.record(&bytes, at: 0) }
        guard let entry = try? Entry(parsing: bytes) else { return .refused }
        try check(entry)
        try promise(entry.bytes == Array(bytes[..<entry.bytes.count]), "a record is its bytes")
        var rotten = entry.bytes
        let at = bit / 8 % rotten.count
        rotten[at] ^= 1 << UInt8(bit % 8)
        // A length that rots may name fewer bytes, of which the checksum is right by chance.
        if !(4..<8).contains(at) {
            try promise((try? Entry(parsing: rotten)) == nil, "a rotten bit is seen")
        }
        try payload(of: entry)
        return .accepted
    }

    private static func check(_ entry: Entry) throws {
        try promise(entry.index <= .countMax && entry.term <= .countMax, "a log goes on")
        try promise(
            Checksum.crc32c(entry.bytes, in: 4..<entry.bytes.count) == entry.checksum,
            "a record is taken with its own checksum alone")
    }

    private static func payload(of entry: Entry) throws {
        switch entry.kind {
        case .write:
            guard let write = try? VolumeWrite(parsing: entry) else { return }
            try promise(write.encoded == Array(entry.payload), "a write has one encoding")
            try promise(write.range.upperBound >= write.offset, "a write ends behind its start")
        case .command: _ = try? Command(parsing: entry.payload)
        case .membership: _ = try? Membership(parsing: Array(entry.payload))
        case .blank, .stream: break
        }
    }

    /// A membership is read back as it was, alone and in a base.
    private static func membership(_ bytes: [UInt8]) throws -> Verdict {
        var input = Input(bytes)
        let mode = Mode(input.byte())
        let bytes = input.rest()
        guard mode.isFirst else { return try base(bytes) }
        guard let membership = try? Membership(parsing: bytes) else { return .refused }
        try promise(
            try Membership(parsing: membership.encoded) == membership,
            "a membership is read back as it was")
        try promise(membership.voters.count > 0, "somebody votes")
        return .accepted
    }

    private static func base(_ bytes: [UInt8]) throws -> Verdict {
        let base = Base(position: Position(index: LogIndex(7), term: Term(2)), contents: bytes)
        guard let (membership, state) = try? base.parsed() else { return .refused }
        let again = Base(
            position: base.position, membership: membership, state: state.contents)
        let read = try again.parsed()
        try promise(
            read.membership == membership && read.state == state, "a base is read back as it was")
        return .accepted
    }
}
