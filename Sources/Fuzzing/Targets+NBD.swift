internal import Mesh
internal import NBDProtocol
internal import VolumeCore

extension FuzzTarget {
    static let nbd = [
        FuzzTarget(
            "nbd-handshake", byteCountMax: 768, seeds: { NBDSamples.handshakes }, body: handshake),
        FuzzTarget(
            "nbd-requests", byteCountMax: 768, seeds: { NBDSamples.requests }, body: requests),
    ]

    /// A conversation means the same in whatever pieces it comes, and without TLS, where it is
    /// demanded, a client learns nothing.
    private static func handshake(_ bytes: [UInt8]) throws -> Verdict {
        var input = Input(bytes)
        let mode = Mode(input.byte())
        let security = mode.isFirst ? NBDHandshake.Security.socketFile : .forcedTLS
        // TLS begins between two pieces or not at all, so the first one's length can be chosen.
        let (seed, count) = (input.byte(), Int(input.byte()))
        let first = input.take(count)
        let (rest, bytes) = (input.rest(), input.all.dropFirst(3))
        let split = try talk(security, [first] + Array(Pieces(rest, seed: seed)))
        if security == .socketFile {
            let whole = try talk(security, CollectionOfOne(Array(bytes)))
            try promise(whole.sent == split.sent, "a client is answered the same in any pieces")
            try promise(whole.session == split.session, "it enters the same in any pieces")
            // What came behind the last option is the first request, or part of it.
            let tail = bytes.suffix(whole.rest.count)
            try promise(tail.elementsEqual(whole.rest), "nothing is lost")
        }
        return split.sent.isEmpty ? .refused : .accepted
    }

    private static func talk(_ security: NBDHandshake.Security, _ pieces: some Sequence<[UInt8]>)
        throws -> (sent: [UInt8], session: NBDSession?, rest: [UInt8])
    {
        var handshake = NBDHandshake(security)
        var (sent, isSecure) = ([UInt8](), security == .socketFile)
        for piece in pieces {
            handshake.take(piece)
            steps: while true {
                switch handshake.step(NBDSamples.offer) {
                case .wait: break steps
                case .send(let bytes): sent += bytes
                case .startTLS(let bytes):
                    try promise(!isSecure, "TLS begins once")
                    try promise(!tells(sent), "nothing is told before TLS")
                    sent += bytes
                    isSecure = true
                case .enter(let bytes, let session, let rest):
                    try promise(isSecure, "nobody enters without TLS")
                    try promise(
                        NBDSamples.offer.exports.contains(session.export),
                        "an export that is offered is entered")
                    return (sent + bytes, session, rest)
                case .close(let bytes):
                    try promise(isSecure || !tells(sent + bytes), "nothing is told before TLS")
                    return (sent + bytes, nil, [])
                }
            }
        }
        try promise(isSecure || !tells(sent), "nothing is told before TLS")
        return (sent, nil, [])
    }

    private static func tells(_ bytes: [UInt8]) -> Bool {
        NBDSamples.offer.exports.contains { bytes.firstRange(of: Array($0.name.utf8)) != nil }
    }

    /// Requests at an open volume do what they would at an array of bytes.
    private static func requests(_ bytes: [UInt8]) throws -> Verdict {
        guard var model = VolumeModel.fresh else { throw Broken(promise: "a volume opens") }
        var (rest, served) = (bytes[...], 0)
        while rest.count >= NBDRequest.headerByteCount, served < 8 {
            guard let request = NBDRequest(header: Array(rest.prefix(NBDRequest.headerByteCount)))
            else { break }
            rest = rest.dropFirst(NBDRequest.headerByteCount)
            let refusal = request.refusal(
                exportByteCount: VolumeModel.byteCount, hasAllocationContext: true)
            guard refusal == nil else { continue }
            try promise(
                request.command == .flush || request.command == .disconnect
                    || request.offset + UInt64(request.byteCount) <= VolumeModel.byteCount,
                "a request that is taken lies in its export")
            if request.command == .disconnect { break }
            if request.carriesData {
                guard rest.count >= Int(request.byteCount) else { break }
                try model.write(request, Array(rest.prefix(Int(request.byteCount))))
                rest = rest.dropFirst(Int(request.byteCount))
            } else {
                try model.serve(request)
            }
            served += 1
        }
        if served > 0 { try model.check() }
        return served > 0 ? .accepted : .refused
    }
}

extension NBDRequest {
    init?(header bytes: [UInt8]) {
        self.init(
            magic: UInt32(bytes.bigEndian(0, 4)), flags: UInt16(bytes.bigEndian(4, 2)),
            command: UInt16(bytes.bigEndian(6, 2)), cookie: bytes.bigEndian(8, 8),
            offset: bytes.bigEndian(16, 8), byteCount: UInt32(bytes.bigEndian(24, 4)))
    }
}
