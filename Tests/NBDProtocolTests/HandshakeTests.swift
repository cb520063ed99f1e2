import NBDProtocol
import Testing

private let offer = NBDOffer(
    [NBDExport(name: "disk1", byteCount: 1 << 20), NBDExport(name: "other", byteCount: 4_096)],
    acceptsEmptyName: true)

private func option(_ number: UInt64, _ data: [UInt8] = []) -> [UInt8] {
    var bytes = Array("IHAVEOPT".utf8)
    bytes.append(number, bigEndian: 4)
    bytes.append(UInt64(data.count), bigEndian: 4)
    return bytes + data
}

private func text(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(UInt64(text.utf8.count), bigEndian: 4)
    return bytes + Array(text.utf8)
}

private func info(_ name: String, kinds: [UInt64] = []) -> [UInt8] {
    var bytes = text(name)
    bytes.append(UInt64(kinds.count), bigEndian: 2)
    for kind in kinds { bytes.append(kind, bigEndian: 2) }
    return bytes
}

private func contexts(_ name: String, _ queries: [String]) -> [UInt8] {
    var bytes = text(name)
    bytes.append(UInt64(queries.count), bigEndian: 4)
    return queries.reduce(bytes) { $0 + text($1) }
}

/// The replies in what the server sent: their types and data.
private func replies(_ bytes: [UInt8]) throws -> [(type: UInt64, data: [UInt8])] {
    var (found, rest): ([(type: UInt64, data: [UInt8])], [UInt8]) = ([], bytes)
    while !rest.isEmpty {
        try #require(rest.count >= 20 && rest.bigEndian(0, 8) == 0x0003_e889_0455_65a9)
        let count = Int(rest.bigEndian(16, 4))
        try #require(rest.count >= 20 + count)
        found.append((rest.bigEndian(12, 4), Array(rest[20..<20 + count])))
        rest.removeFirst(20 + count)
    }
    return found
}

private struct Client {
    var server: NBDHandshake
    init(_ security: NBDHandshake.Security = .socketFile, flags: UInt8 = 3) {
        server = NBDHandshake(security)
        server.take([0, 0, 0, flags])
    }

    mutating func send(_ bytes: [UInt8]) -> NBDHandshake.Step {
        server.take(bytes)
        return server.step(offer)
    }

    mutating func types(_ bytes: [UInt8]) throws -> [UInt64] {
        guard case .send(let sent) = send(bytes) else { return [] }
        return try replies(sent).map(\.type)
    }
}

private let (ack, unsupported, invalid): (UInt64, UInt64, UInt64) = (1, 0x8000_0001, 0x8000_0003)
private let (needsTLS, unknown): (UInt64, UInt64) = (0x8000_0005, 0x8000_0006)

@Suite("The handshake before an export is open")
struct HandshakeTests {
    @Test func `the greeting is fixed newstyle's, without padding`() {
        #expect(
            NBDHandshake.greeting == Array("NBDMAGICIHAVEOPT".utf8) + [0, 3])
    }

    @Test func `options are answered with the types that the protocol has for them`() throws {
        for (number, data, types) in [
            (3, [], [2, 2, ack]), (3, [0], [invalid]), (5, [], [unsupported]),
            (6, info("disk1"), [3, 3, ack]), (6, info("disk1", kinds: [0, 3]), [3, 3, ack]),
            (6, info("none"), [unknown]), (7, info("none"), [unknown]),
            (8, [], [ack]), (8, [1], [invalid]), (11, [], [unsupported]),
            (4, [1, 2], [unsupported]),
            (0, [], [unsupported]), (0xffff_ffff, [], [unsupported]),
            (9, contexts("disk1", []), [invalid]), (10, contexts("disk1", []), [invalid]),
            (6, [], [invalid]), (7, info("disk1") + [0], [invalid]),
            (7, Array(info("disk1", kinds: [3]).dropLast()), [invalid]),
            (7, [0xff, 0xff, 0xff, 0xff, 0, 0], [invalid]),
        ] as [(UInt64, [UInt8], [UInt64])] {
            var client = Client()
            #expect(try client.types(option(number, data)) == types, "option \(number) \(data)")
        }
    }

    @Test func `the list names every export`() throws {
        var client = Client()
        guard case .send(let bytes) = client.send(option(3)) else {
            Issue.record("no list")
            return
        }
        #expect(try replies(bytes).map(\.data) == [text("disk1"), text("other"), []])
    }

    @Test func `INFO tells size, flags and block sizes, and haggling goes on`() throws {
        var client = Client()
        guard case .send(let bytes) = client.send(option(6, info("other"))) else {
            Issue.record("no information")
            return
        }
        let told = try replies(bytes)
        #expect(told[0].data == [0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0x01, 0x6d])
        #expect(told[1].data == [0, 3, 0, 0, 0, 1, 0, 0, 0x10, 0, 2, 0, 0, 0])
        #expect(try client.types(option(3)) == [2, 2, ack])
    }

    @Test func `of an export that is read-only no change is offered`() throws {
        let offer = NBDOffer(
            [NBDExport(name: "disk1", byteCount: 4_096, isReadOnly: true)], acceptsEmptyName: true)
        var server = NBDHandshake(.socketFile)
        server.take([0, 0, 0, 3])
        server.take(option(6, info("disk1")))
        guard case .send(let bytes) = server.step(offer) else {
            Issue.record("no information")
            return
        }
        #expect(try replies(bytes)[0].data == [0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0x01, 0x07])
    }

    @Test func `GO enters the export with what was agreed, and hands on what came behind it`()
        throws
    {
        var client = Client()
        #expect(try client.types(option(8)) == [ack])
        #expect(
            try client.types(option(10, contexts("disk1", ["x:y", "base:allocation"]))) == [4, ack])
        guard
            case .enter(let bytes, let session, let rest) = client.send(
                option(7, info("disk1")) + [9, 8])
        else {
            Issue.record("did not enter")
            return
        }
        #expect(try replies(bytes).map(\.type) == [3, 3, ack])
        // Structured replies are one chunk each, so SEND_DF is true as well.
        #expect(try replies(bytes)[0].data.suffix(2) == [0x01, 0xed])
        #expect(session.export.name == "disk1")
        #expect(session.hasStructuredReplies && session.hasAllocationContext)
        #expect(rest == [9, 8])
        #expect(client.send(option(3)) == .wait)
    }

    @Test func `a context selected for another export is not selected`() throws {
        var client = Client()
        _ = client.send(option(8))
        _ = client.send(option(10, contexts("other", ["base:allocation"])))
        guard case .enter(_, let session, _) = client.send(option(7, info("disk1"))) else {
            Issue.record("did not enter")
            return
        }
        #expect(!session.hasAllocationContext)
    }

    @Test func `contexts are listed by namespace, selected by name, and reselected whole`() throws {
        var client = Client()
        _ = client.send(option(8))
        for (number, queries, types) in [
            (9, [], [4, ack]), (9, ["base:"], [4, ack]), (9, ["base:allocation"], [4, ack]),
            (9, ["x:"], [ack]), (10, ["base:allocation"], [4, ack]), (10, ["base:"], [ack]),
            (10, [], [ack]),
        ] as [(UInt64, [String], [UInt64])] {
            #expect(try client.types(option(number, contexts("", queries))) == types, "\(queries)")
        }
        guard case .enter(_, let session, _) = client.send(option(7, info("disk1"))) else {
            Issue.record("did not enter")
            return
        }
        #expect(!session.hasAllocationContext)
        var other = Client()
        _ = other.send(option(8))
        #expect(try other.types(option(10, contexts("none", []))) == [unknown])
        #expect(try other.types(option(10, contexts("disk1", ["a"]).dropLast())) == [invalid])
        #expect(try other.types(option(10, contexts("disk1", ["a"]) + [0])) == [invalid])
    }

    @Test func `EXPORT_NAME enters with or without padding, and hangs up on unknown names`() {
        for (flags, padding) in [(UInt8(1), 124), (3, 0), (2, 0), (0, 124)] {
            var client = Client(flags: flags)
            guard case .enter(let bytes, _, _) = client.send(option(1, Array("other".utf8))) else {
                Issue.record("did not enter with flags \(flags)")
                return
            }
            let head: [UInt8] = [0, 0, 0, 0, 0, 0, 0x10, 0, 0x01, 0x6d]
            #expect(bytes == head + [UInt8](repeating: 0, count: padding))
        }
        var client = Client()
        #expect(client.send(option(1, Array("none".utf8))) == .close([]))
    }

    @Test func `the empty name is taken only where one volume is meant`() {
        var client = Client()
        guard case .enter(_, let session, _) = client.send(option(7, info(""))) else {
            Issue.record("did not enter")
            return
        }
        #expect(session.export.name == "disk1")
        var server = NBDHandshake(.socketFile)
        server.take([0, 0, 0, 3] + option(1))
        #expect(server.step(NBDOffer(offer.exports, acceptsEmptyName: false)) == .close([]))
    }

    @Test func `ABORT is acknowledged and ends it`() throws {
        for security in [NBDHandshake.Security.socketFile, .forcedTLS] {
            var client = Client(security)
            guard case .close(let bytes) = client.send(option(2)) else {
                Issue.record("not closed")
                return
            }
            #expect(try replies(bytes).map(\.type) == [ack])
            #expect(client.send(option(3)) == .wait)
        }
    }

    @Test func `where TLS is forced nothing is told before it`() throws {
        for number in [UInt64](3...4) + [6, 7, 8, 9, 10, 99] {
            var client = Client(.forcedTLS)
            #expect(try client.types(option(number, info("disk1"))) == [needsTLS])
        }
        var client = Client(.forcedTLS)
        #expect(client.send(option(1, Array("disk1".utf8))) == .close([]))
    }

    @Test func `TLS starts once, and then all options are open`() throws {
        var client = Client(.forcedTLS)
        guard case .startTLS(let bytes) = client.send(option(5)) else {
            Issue.record("no TLS")
            return
        }
        #expect(try replies(bytes).map(\.type) == [ack])
        #expect(try client.types(option(5)) == [invalid])
        #expect(try client.types(option(3)) == [2, 2, ack])
    }

    @Test func `what is sent in the clear behind STARTTLS is not taken for the secure client's`() {
        var client = Client(.forcedTLS)
        #expect(client.send(option(5) + option(3)) == .close([]))
    }

    @Test func `a client that could not be told of TLS, or has unknown flags, is hung up on`() {
        var old = Client(.forcedTLS, flags: 2)
        #expect(old.send([]) == .close([]))
        var strange = Client(flags: 7)
        #expect(strange.send([]) == .close([]))
    }

    @Test func `a wrong magic or an oversized option is hung up on before it is read`() {
        var client = Client()
        var bytes = option(3)
        bytes[0] = 0
        #expect(client.send(bytes) == .close([]))
        var other = Client()
        var long = Array(option(3)[..<12])
        long.append(UInt64(NBDHandshake.optionByteCountMax) + 1, bigEndian: 4)
        #expect(other.send(long) == .close([]))
    }

    @Test func `cut anywhere, the handshake waits and then goes on the same`() {
        let bytes =
            [0, 0, 0, 3] + option(8) + option(10, contexts("disk1", ["base:allocation"]))
            + option(7, info("disk1", kinds: [3]))
        var whole = NBDHandshake(.socketFile)
        whole.take(bytes)
        let steps = [whole.step(offer), whole.step(offer), whole.step(offer)]
        for cut in bytes.indices {
            var server = NBDHandshake(.socketFile)
            var found: [NBDHandshake.Step] = []
            for part in [bytes[..<cut], bytes[cut...]] {
                server.take(part)
                while true {
                    let step = server.step(offer)
                    guard step != .wait else { break }
                    found.append(step)
                }
            }
            #expect(found == steps, "cut at \(cut)")
        }
    }

    @Test(arguments: 1...200)
    func `garbage ends or is answered, and never grows what is held`(seed: UInt64) {
        var state = seed
        func random(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        var client = Client(random(2) == 0 ? .socketFile : .forcedTLS)
        for _ in 0..<50 {
            let data = (0..<random(40)).map { _ in UInt8(random(random(2) == 0 ? 2 : 256)) }
            var bytes = option(random(13), data)
            if random(10) == 0 { bytes[Int(random(UInt64(bytes.count)))] ^= UInt8(1 + random(255)) }
            if random(10) == 0 { bytes.removeLast(Int(random(UInt64(bytes.count)))) }
            switch client.send(bytes) {
            case .wait, .send, .startTLS: continue
            case .close, .enter: return
            }
        }
    }
}
