internal import Alarms
internal import Gossip
internal import Mesh
internal import NIOCore
internal import Node
internal import Transport
internal import Voting

extension FuzzTarget {
    static let talk = [
        FuzzTarget("frames", byteCountMax: 1_024, seeds: { Samples.frames }, body: frames),
        FuzzTarget(
            "hello", byteCountMax: 256, seeds: { Samples.hellos.map(\.encoded) }, body: hello),
        FuzzTarget(
            "gossip", byteCountMax: 1_024, seeds: { Samples.gossip.map(GossipCodec.encode) },
            body: gossip),
        FuzzTarget("report", byteCountMax: 768, seeds: { Samples.reports }, body: report),
        FuzzTarget("note", byteCountMax: 768, seeds: { Samples.notes.map(\.encoded) }, body: note),
    ]

    /// A stream means the same in whatever pieces it comes, and holds no more memory than it brought.
    private static func frames(_ bytes: [UInt8]) throws -> Verdict {
        var input = Input(bytes)
        let lane = Lane(rawValue: input.byte() % 4)
        let payloadBytesMax = lane?.frameBytesMax ?? Hello.bytesMax
        let seed = input.byte()
        let bytes = input.rest()
        let whole = read(CollectionOfOne(bytes), payloadBytesMax)
        let split = read(Pieces(bytes, seed: seed), payloadBytesMax)
        try promise(whole.frames == split.frames, "a stream is cut the same in any pieces")
        try promise(whole.refused == split.refused, "a stream is refused the same in any pieces")
        try promise(split.capacity <= 4 * bytes.count + 4_096, "memory grows with what has come")
        let encoded = whole.frames.flatMap { frame in
            Array(
                ByteBuffer.frame(frame.kind, [frame.payload], ByteBufferAllocator())
                    .readableBytesView)
        }
        try promise(bytes.starts(with: encoded), "a frame has one encoding")
        for frame in whole.frames where frame.kind == .hello { _ = try hello(frame.payload) }
        return whole.refused == nil && !whole.frames.isEmpty ? .accepted : .refused
    }

    private static func read(_ pieces: some Sequence<[UInt8]>, _ payloadBytesMax: Int) -> (
        frames: [Frame], refused: FrameRefused?, capacity: Int
    ) {
        var reader = FrameReader(payloadBytesMax: payloadBytesMax)
        var (frames, capacity) = ([Frame](), 0)
        for piece in pieces {
            var buffer = ByteBuffer(bytes: piece)
            reader.push(&buffer)
            do throws(FrameRefused) {
                while let frame = try reader.next() { frames.append(frame) }
            } catch { return (frames, error, capacity) }
            capacity = max(capacity, reader.capacity)
        }
        return (frames, nil, capacity)
    }

    /// What a later version appends is passed over.
    private static func hello(_ bytes: [UInt8]) throws -> Verdict {
        guard let hello = try? Hello(parsing: bytes) else { return .refused }
        let encoded = hello.encoded
        try promise(try Hello(parsing: encoded) == hello, "a hello is read back as it was")
        try promise(try Hello(parsing: encoded + [7]) == hello, "later versions may append")
        try promise(encoded.count <= Hello.bytesMax, "a hello fits its frame")
        return .accepted
    }

    /// One encoding for each message, within every limit.
    private static func gossip(_ bytes: [UInt8]) throws -> Verdict {
        guard let message = try? GossipCodec.decode(bytes) else { return .refused }
        try promise(GossipCodec.encode(message) == bytes, "a message has one encoding")
        for register in message.registers {
            try promise(
                register.bytes.count <= Gossip.Limit.registerBytesMax
                    && register.heard.count <= Gossip.Limit.heardMax, "a register is bounded")
            if let report = Report(parsing: register.bytes) { try check(report) }
        }
        return .accepted
    }

    /// What a member says of itself, and what the alarms' file says.
    private static func report(_ bytes: [UInt8]) throws -> Verdict {
        var input = Input(bytes)
        let mode = Mode(input.byte())
        let bytes = input.rest()
        if mode.isFirst {
            guard let report = Report(parsing: bytes) else { return .refused }
            try check(report)
        } else {
            guard let incidents = Incidents(parsing: bytes) else { return .refused }
            try check(incidents)
        }
        return .accepted
    }

    private static func check(_ report: Report) throws {
        try promise(
            Report(parsing: report.encoded) == report, "a report is read back as it was")
        if let resync = report.resync {
            try promise(resync.percent <= 100, "no more than all is done")
        }
        guard let bulletin = Bulletin(parsing: report.bulletin) else { return }
        try promise(
            Bulletin(parsing: bulletin.encoded) == bulletin, "a bulletin is read back as it was")
        try promise(bulletin.encoded.count <= Bulletin.byteCountMax, "a bulletin is bounded")
        try check(bulletin.incidents)
    }

    private static func check(_ incidents: Incidents) throws {
        try promise(incidents.all.count <= Incidents.countMax, "incidents are bounded")
        try promise(
            Incidents(parsing: incidents.encoded) == incidents,
            "incidents are read back as they were")
        var joined = incidents
        joined.join(incidents)
        try promise(joined == incidents, "what is joined with itself is itself")
    }

    private static func note(_ bytes: [UInt8]) throws -> Verdict {
        guard let note = try? Note(parsing: bytes) else { return .refused }
        try promise(note.encoded == bytes, "a note has one encoding")
        return .accepted
    }
}
