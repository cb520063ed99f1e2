internal import Mesh
internal import Record
internal import Repository
internal import Sealing

/// Objects of a repository, written by hand as the page of the format has them.
enum RepositorySamples {
    private static let text = Array("all work and no play makes jack a dull boy, ".utf8)
    private static let (one, two) = (digest([1]), digest([2]))

    private static func digest(_ bytes: [UInt8]) -> Digest { Digest(of: bytes.span) }

    private static func row(
        _ id: Digest, plain: Int, stored: Int, kind: UInt8 = 1, encoding: UInt8 = 0
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        id.append(to: &bytes)
        bytes.append(littleEndian: UInt32(plain))
        bytes.append(littleEndian: UInt32(stored + 16))
        return bytes + [kind, encoding, 0, 0]
    }

    private static func number(_ value: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: value)
        return bytes
    }

    static func packs() throws -> [[UInt8]] {
        let long = text + text + text
        var block: [UInt8] = []
        try promise(Codec.lz4.compress(long.span, long.count - 1, &block), "text shrinks")
        let rows =
            row(one, plain: text.count, stored: text.count)
            + row(two, plain: long.count, stored: block.count, kind: 2, encoding: 1)
        return [
            ToldObject.encoded(number(2) + rows, [text, block]), ToldObject.encoded(number(0), []),
        ]
    }

    static let indexes: [[UInt8]] = {
        let (low, high) = one < two ? (one, two) : (two, one)
        var pack: [UInt8] = []
        one.append(to: &pack)
        pack += number(1) + [UInt8](repeating: 9, count: 32)
        let rows =
            row(low, plain: 100, stored: 100) + number(0) + number(0) + number(96)
            + row(high, plain: 300, stored: 20, encoding: 1) + number(0) + number(1) + number(212)
        var first: [UInt8] = []
        low.append(to: &first)
        // A filter that lets everything pass, and one that lets nothing.
        let (all, none) = ([UInt8](repeating: 255, count: 64), [UInt8](repeating: 0, count: 64))
        return [
            ToldObject.encoded(number(1) + pack + number(2) + first + all, [rows]),
            ToldObject.encoded(number(0) + number(0) + none, []),
        ]
    }()

    static let manifests: [[UInt8]] = {
        func told(_ sequence: UInt64, _ predecessor: Digest, _ rest: [UInt8]) -> [UInt8] {
            var words = number(2) + [2, 1, 0, 0]
            words.append(littleEndian: sequence)
            predecessor.append(to: &words)
            words.append(littleEndian: [5, 6, 1, 70, 4, 2])
            words.append(littleEndian: UInt64(99))
            return ToldObject.encoded(words + rest, [])
        }
        func volume(_ id: UInt64, state: UInt8, _ top: Digest, _ name: String) -> [UInt8] {
            var bytes: [UInt8] = []
            bytes.append(littleEndian: id)
            bytes.append(littleEndian: UInt64(5 << 20))
            bytes += number(16 << 10) + [state, 1, UInt8(name.utf8.count), 0]
            top.append(to: &bytes)
            bytes.append(littleEndian: [3 << 32 | 1, 12])
            return bytes + name.utf8
        }
        var piece: [UInt8] = []
        two.append(to: &piece)
        let volumes = volume(3, state: 2, one, "disk") + volume(9, state: 1, digest([]), "empty")
        return [
            told(1, digest([]), number(0) + number(0)),
            told(2, one, number(2) + volumes + number(1) + piece),
        ]
    }()

    /// A hold; a session that began, and one that is given up; tombstones, and what is decided about them.
    static let stretches: [[UInt8]] = [1, 3].map { count in
        let entries = (1...UInt64(count)).map { number in
            Draft(.write, epoch: Epoch(2), payload: [UInt8](repeating: 7, count: 40)).sealed(
                at: Position(index: LogIndex(70 + number), term: Term(4)), group: GroupID(1),
                time: WallTime(900 + number))
        }
        var words = number(1)
        words.append(littleEndian: [1, 5, 6])
        one.append(to: &words)
        words.append(littleEndian: [70, 4, 70 + UInt64(count), 4, 900 + UInt64(count)])
        words += number(UInt32(count))
        // Each in a piece of its own, raw.
        for entry in entries {
            words += number(0) + number(UInt32(entry.bytes.count))
            words += number(UInt32(entry.bytes.count + 16))
        }
        return ToldObject.encoded(words, entries.map(\.bytes))
    }

    static let statements: [[UInt8]] = {
        func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count), 0] + text.utf8 }
        func bytes(_ words: UInt64..., of digests: Digest...) -> [UInt8] {
            var bytes: [UInt8] = []
            for word in words { bytes.append(littleEndian: word) }
            for digest in digests { digest.append(to: &bytes) }
            return bytes
        }
        let (low, high) = one < two ? (one, two) : (two, one)
        let names =
            number(2) + bytes(1, 4) + number(1) + bytes(of: one)
            + number(2) + bytes(of: low, high)
        let said = [
            bytes(9, of: one) + bytes(99) + text("case 7"),
            bytes(5) + [1, 0, 0, 0] + bytes(4, 99) + text("node 3"),
            bytes(5) + [3, 0, 0, 0] + bytes(0, 0) + text("no room left"),
            bytes(6) + [1, 0, 0, 0] + names,
            bytes(6) + [2, 0, 0, 0] + bytes(of: two) + number(1) + bytes(1, 4) + names,
        ]
        return said.map { ToldObject.encoded(number(1) + $0, []) }
    }()

    static let nodes: [[UInt8]] = {
        let holes = [Slot](repeating: .hole, count: MapNode.slotCount - 3)
        return [0, 1].map { level in
            MapNode(level: level, slots: [.zeros, .stored(one), .stored(two)] + holes).encoded
        }
    }()

    static let rings: [[UInt8]] = [1, 3].map { epochs in
        var head = Array("HLDKEYS1".utf8) + number(1) + number(2)
        head.append(littleEndian: [1, 2, 3, 4])
        head.append(littleEndian: UInt64(1))
        let nothing: [UInt8] = []
        Digest(of: nothing.span).append(to: &head)
        head += [UInt8](repeating: 5, count: 32)
        for name in ["safe", "board"] {
            let bytes = SecretWrap.wrap(
                ToldObject.secret, by: ToldObject.secret,
                random: name == "safe" ? ToldObject.salt : ToldObject.otherSalt)
            head += [1, UInt8(name.utf8.count)] + name.utf8 + [UInt8(bytes.count + 1), 0] + bytes
            head.append(UInt8(name.utf8.count))
        }
        let secret = [UInt8](repeating: 6, count: 32)
        var plain = number(1) + number(UInt32(epochs)) + secret + secret
        for epoch in 0..<epochs {
            plain.append(littleEndian: UInt64(epoch))
            plain += number(0) + secret
        }
        return ToldRing.encoded(head, plain + secret)
    }
}
