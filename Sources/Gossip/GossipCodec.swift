import Mesh

/// Gossip messages as bytes, little-endian; docs/formats/gossip.md.
package enum GossipCodec {
    package static let version: UInt8 = 1

    package enum Refusal: Error, Hashable, Sendable {
        case oversized(bytes: Int)
        case truncated
        case unknownVersion(UInt8)
        case unknownKind(UInt8)
        case unknownStanding(UInt8)
        case unlawfulFlag(UInt8)
        case tooMany(Field, Int)
        case unsorted(Field)
        case implausibleIncarnation
        case trailing(bytes: Int)
    }

    package enum Field: String, Hashable, Sendable {
        case accusers, claims, registers, rows, registerBytes, heard
    }

    package static func encode(_ message: Gossip.Message) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(byteCount(message))
        out.append(littleEndian: UInt16(kind(message.body)) << 8 | UInt16(version))
        out.append(
            littleEndian: [
                message.sender.rawValue, message.incarnation.rawValue, message.boot.rawValue,
            ])
        switch message.body {
        case .ping(let sequence), .ack(let sequence), .nack(let sequence):
            out.append(littleEndian: sequence)
        case .pingRequest(let sequence, let target):
            out.append(littleEndian: sequence)
            out.append(name: target)
        case .digest(let rows, let wantsAnswer):
            out.append(wantsAnswer ? 1 : 0)
            out.append(littleEndian: UInt16(rows.count))
            for row in rows {
                append(row.claim, to: &out)
                append(row.register, to: &out)
            }
        case .news: break
        }
        out.append(littleEndian: UInt16(message.claims.count))
        for claim in message.claims { append(claim, to: &out) }
        out.append(littleEndian: UInt16(message.registers.count))
        for register in message.registers { append(register, to: &out) }
        invariant(out.count <= Gossip.Limit.messageBytesMax, "senders keep to the message limit")
        return out
    }

    /// Counts are held against their limits before anything is allocated for them.
    package static func decode(_ bytes: [UInt8]) throws(Refusal) -> Gossip.Message {
        guard bytes.count <= Gossip.Limit.messageBytesMax else {
            throw .oversized(bytes: bytes.count)
        }
        var decoder = Decoder(bytes)
        return try decoder.message()
    }

    /// No message is longer, and none much shorter.
    private static func byteCount(_ message: Gossip.Message) -> Int {
        var count = 64
        if case .digest(let rows, _) = message.body {
            count = rows.reduce(count) { $0 + byteCount($1) }
        }
        count = message.claims.reduce(count) { $0 + byteCount($1) }
        return message.registers.reduce(count) { $0 + byteCount($1) }
    }
    static func byteCount(_ claim: Gossip.Claim) -> Int { 26 + 8 * claim.accusers.count }
    static func byteCount(_ row: Gossip.Row) -> Int { byteCount(row.claim) + 16 }
    static func byteCount(_ register: HealthMap.Register) -> Int {
        28 + register.bytes.count + 12 * register.heard.count
    }

    private static func kind(_ body: Gossip.Body) -> UInt8 {
        switch body {
        case .ping: 1
        case .ack: 2
        case .pingRequest: 3
        case .nack: 4
        case .digest: 5
        case .news: 6
        }
    }

    private static func append(_ claim: Gossip.Claim, to out: inout [UInt8]) {
        out.append(name: claim.node)
        out.append(claim.standing.rawValue)
        out.append(littleEndian: [claim.incarnation.rawValue, claim.boot.rawValue])
        out.append(UInt8(claim.accusers.count))
        for accuser in claim.accusers { out.append(name: accuser) }
    }

    private static func append(_ version: HealthMap.Version, to out: inout [UInt8]) {
        out.append(littleEndian: [version.incarnation.rawValue, version.counter])
    }

    private static func append(_ register: HealthMap.Register, to out: inout [UInt8]) {
        out.append(
            littleEndian: [
                register.node.rawValue, register.version.incarnation.rawValue,
                register.version.counter,
            ])
        out.append(littleEndian: UInt16(register.bytes.count))
        out += register.bytes
        out.append(littleEndian: UInt16(register.heard.count))
        for heard in register.heard {
            out.append(name: heard.node)
            out.append(littleEndian: heard.agoMilliseconds)
        }
    }
}

private struct Decoder: ~Copyable {
    typealias Refusal = GossipCodec.Refusal
    var reader: ByteReader

    init(_ bytes: [UInt8]) { reader = ByteReader(bytes) }

    mutating func message() throws(Refusal) -> Gossip.Message {
        let version = try u8()
        guard version == GossipCodec.version else { throw .unknownVersion(version) }
        let kind = try u8()
        let sender = NodeID(try u64())
        let incarnation = try incarnation()
        let boot = BootID(try u64())
        let body = try body(kind)
        let claims = try list(of: .claims, max: Gossip.Limit.claimsMax) {
            (decoder) throws(Refusal) in try decoder.claim()
        }
        let registers = try list(of: .registers, max: Gossip.Limit.registersMax) {
            (decoder) throws(Refusal) in try decoder.register()
        }
        guard reader.remaining == 0 else { throw .trailing(bytes: reader.remaining) }
        return Gossip.Message(
            sender: sender, incarnation: incarnation, boot: boot, body: body, claims: claims,
            registers: registers)
    }

    mutating func body(_ kind: UInt8) throws(Refusal) -> Gossip.Body {
        switch kind {
        case 1: return .ping(try u64())
        case 2: return .ack(try u64())
        case 3: return .pingRequest(try u64(), target: NodeID(try u64()))
        case 4: return .nack(try u64())
        case 5:
            let flag = try u8()
            guard flag <= 1 else { throw .unlawfulFlag(flag) }
            let rows = try list(of: .rows, max: Gossip.Limit.rowsMax) {
                (decoder) throws(Refusal) in
                Gossip.Row(claim: try decoder.claim(), register: try decoder.version())
            }
            return .digest(rows, wantsAnswer: flag == 1)
        case 6: return .news
        default: throw .unknownKind(kind)
        }
    }

    mutating func claim() throws(Refusal) -> Gossip.Claim {
        let node = NodeID(try u64())
        let code = try u8()
        guard let standing = Gossip.Liveness(rawValue: code) else { throw .unknownStanding(code) }
        let incarnation = try incarnation()
        let boot = BootID(try u64())
        let accuserCount = Int(try u8())
        guard accuserCount <= (standing == .suspect ? Gossip.Limit.accusersMax : 0) else {
            throw .tooMany(.accusers, accuserCount)
        }
        let accusers = try list(of: accuserCount) {
            (decoder) throws(Refusal) in NodeID(try decoder.u64())
        }
        guard zip(accusers, accusers.dropFirst()).allSatisfy({ $0 < $1 }) else {
            throw .unsorted(.accusers)
        }
        return Gossip.Claim(node, standing, incarnation, boot, accusers: accusers)
    }

    mutating func register() throws(Refusal) -> HealthMap.Register {
        let node = NodeID(try u64())
        let version = try version()
        let bytes = try take(try count(.registerBytes, max: Gossip.Limit.registerBytesMax))
        let heard = try list(of: .heard, max: Gossip.Limit.heardMax) {
            (decoder) throws(Refusal) in
            HealthMap.Heard(node: NodeID(try decoder.u64()), agoMilliseconds: try decoder.u32())
        }
        guard zip(heard, heard.dropFirst()).allSatisfy({ $0.node < $1.node }) else {
            throw .unsorted(.heard)
        }
        return HealthMap.Register(node: node, version: version, bytes: bytes, heard: heard)
    }

    mutating func version() throws(Refusal) -> HealthMap.Version {
        HealthMap.Version(incarnation: try incarnation(), counter: try u64())
    }

    mutating func incarnation() throws(Refusal) -> Incarnation {
        let incarnation = Incarnation(try u64())
        guard incarnation < Gossip.Limit.incarnationMax else { throw .implausibleIncarnation }
        return incarnation
    }

    mutating func list<Element>(
        of field: GossipCodec.Field, max: Int,
        _ element: (inout Decoder) throws(Refusal) -> Element
    ) throws(Refusal) -> [Element] {
        try list(of: try count(field, max: max), element)
    }

    /// In one piece of memory: growing one by one cost three of them where five members report.
    mutating func list<Element>(
        of count: Int, _ element: (inout Decoder) throws(Refusal) -> Element
    ) throws(Refusal) -> [Element] {
        var list: [Element] = []
        guard count > 0 else { return list }
        list.reserveCapacity(count)
        for _ in 0..<count { list.append(try element(&self)) }
        return list
    }

    mutating func count(_ field: GossipCodec.Field, max: Int) throws(Refusal) -> Int {
        let count = Int(try u16())
        guard count <= max else { throw .tooMany(field, count) }
        return count
    }

    mutating func u8() throws(Refusal) -> UInt8 {
        do { return try reader.u8() } catch { throw .truncated }
    }
    mutating func u16() throws(Refusal) -> UInt16 {
        do { return try reader.u16() } catch { throw .truncated }
    }
    mutating func u32() throws(Refusal) -> UInt32 {
        do { return try reader.u32() } catch { throw .truncated }
    }
    mutating func u64() throws(Refusal) -> UInt64 {
        do { return try reader.u64() } catch { throw .truncated }
    }
    mutating func take(_ count: Int) throws(Refusal) -> [UInt8] {
        do { return try reader.take(count) } catch { throw .truncated }
    }
}
