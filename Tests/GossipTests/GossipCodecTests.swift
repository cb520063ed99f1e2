import Gossip
import Mesh
import Testing

@Suite("Gossip on the wire")
struct GossipCodecTests {
    @Test func `every message is read as it was written`() throws {
        for message in Self.samples {
            #expect(try GossipCodec.decode(GossipCodec.encode(message)) == message)
        }
    }

    @Test func `every prefix of every message is refused as truncated`() {
        for message in Self.samples {
            let bytes = GossipCodec.encode(message)
            for length in 0..<bytes.count {
                #expect(throws: GossipCodec.Refusal.truncated) {
                    try GossipCodec.decode(Array(bytes[..<length]))
                }
            }
        }
    }

    @Test func `bytes behind the end are refused`() {
        #expect(throws: GossipCodec.Refusal.trailing(bytes: 1)) {
            try GossipCodec.decode(GossipCodec.encode(Self.samples[0]) + [0])
        }
    }

    @Test func `unknown versions, kinds and standings are named`() {
        var bytes = GossipCodec.encode(Self.samples[0])
        bytes[0] = 2
        #expect(throws: GossipCodec.Refusal.unknownVersion(2)) { try GossipCodec.decode(bytes) }
        bytes[0] = 1
        bytes[1] = 9
        #expect(throws: GossipCodec.Refusal.unknownKind(9)) { try GossipCodec.decode(bytes) }
        var news = GossipCodec.encode(Self.news([OneNode.claim(1, .dead)]))
        news[Self.firstClaim + 8] = 4
        #expect(throws: GossipCodec.Refusal.unknownStanding(4)) { try GossipCodec.decode(news) }
    }

    @Test func `a frame that is too long is refused unread`() {
        let count = Gossip.Limit.messageBytesMax + 1
        #expect(throws: GossipCodec.Refusal.oversized(bytes: count)) {
            try GossipCodec.decode([UInt8](repeating: 1, count: count))
        }
    }

    @Test func `a count above its limit is refused before anything is read for it`() {
        var bytes = GossipCodec.encode(Self.news([]))
        bytes[Self.firstClaim - 2] = 0xff
        bytes[Self.firstClaim - 1] = 0xff
        #expect(throws: GossipCodec.Refusal.tooMany(.claims, 65_535)) {
            try GossipCodec.decode(bytes)
        }
        var accused = GossipCodec.encode(Self.news([OneNode.claim(1, .suspect, 1, by: [2])]))
        accused[Self.firstClaim + 25] = 200
        #expect(throws: GossipCodec.Refusal.tooMany(.accusers, 200)) {
            try GossipCodec.decode(accused)
        }
    }

    @Test func `accusers out of order are refused, for their order is part of a claim`() {
        var bytes = GossipCodec.encode(Self.news([OneNode.claim(1, .suspect, 1, by: [2, 3])]))
        bytes[Self.firstClaim + 26] = 9
        #expect(throws: GossipCodec.Refusal.unsorted(.accusers)) { try GossipCodec.decode(bytes) }
    }

    @Test func `an incarnation that could not be refuted is refused`() {
        var bytes = GossipCodec.encode(Self.news([]))
        bytes[17] = 0xff
        #expect(throws: GossipCodec.Refusal.implausibleIncarnation) {
            try GossipCodec.decode(bytes)
        }
    }

    @Test func `a thousand damaged messages are read or refused, never fatal`() {
        var random = SeededRandom(seed: 3)
        var refused = 0
        for round in 0..<1_000 {
            var bytes = GossipCodec.encode(Self.samples[round % Self.samples.count])
            for _ in 0...random.next() % 4 {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(random.next() & 0xff)
            }
            do { _ = try GossipCodec.decode(bytes) } catch { refused += 1 }
        }
        #expect(refused > 100)
    }

    /// Behind the header (26 bytes) and the count of claims.
    static let firstClaim = 28

    static func news(_ claims: [Gossip.Claim]) -> Gossip.Message { message(.news, claims) }

    static func message(
        _ body: Gossip.Body, _ claims: [Gossip.Claim] = [],
        _ registers: [HealthMap.Register] = []
    ) -> Gossip.Message {
        Gossip.Message(
            sender: NodeID(1), incarnation: Incarnation(2), boot: BootID(3), body: body,
            claims: claims, registers: registers)
    }

    static let samples: [Gossip.Message] = {
        let claims = [
            OneNode.claim(1, .alive), OneNode.claim(2, .suspect, 9, by: [1, 3, 4, 5]),
            OneNode.claim(3, .dead, 7), OneNode.claim(4, .left),
        ]
        let register = HealthMap.Register(
            node: NodeID(5), version: HealthMap.Version(incarnation: Incarnation(1), counter: 2),
            bytes: [1, 2, 3],
            heard: [
                HealthMap.Heard(node: NodeID(1), agoMilliseconds: 5),
                HealthMap.Heard(node: NodeID(2), agoMilliseconds: .max),
            ])
        let rows = claims.map { Gossip.Row(claim: $0, register: register.version) }
        return [
            message(.ping(1)), message(.ack(.max)), message(.nack(3), claims),
            message(.pingRequest(7, target: NodeID(3)), claims, [register]),
            message(.digest(rows, wantsAnswer: true)),
            message(.digest([], wantsAnswer: false), [], [register, register]),
            message(.news, claims, [register]),
        ]
    }()
}
