internal import Mesh
internal import Record
internal import Repository
internal import Sealing

/// A sealed object as an input tells it, which can't know the key: what its closing piece says and what
/// its pieces hold. Sealed here as the page of the format says, by no code of the repository's own.
///
/// mode u8 · length of the closing words u16 · words; then of each piece its length u16 and bytes. Unsealed,
/// all behind the mode is the object.
struct ToldObject {
    private static let bytes = [UInt8](repeating: 7, count: 32)
    static let secret = known(Secret(bytes))
    static let salt = known(Salt(bytes))
    static let otherSalt = known(Salt([UInt8](repeating: 8, count: 32)))
    static let place = SealedPlace(
        repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 3, low: 4),
        key: EpochKey(.first, secret))

    private static func known<T>(_ made: T?) -> T {
        guard let made else { preconditionFailure("32 bytes are enough") }
        return made
    }

    private let mode: Mode
    private var words: [UInt8] = []
    private var pieces: [[UInt8]] = []
    private var raw: [UInt8] = []

    init(_ bytes: [UInt8]) {
        var input = Input(bytes)
        mode = Mode(input.byte())
        guard mode.seals else {
            raw = input.rest()
            return
        }
        words = input.take(input.word())
        while !input.isAtEnd { pieces.append(input.take(input.word())) }
    }

    static func encoded(_ words: [UInt8], _ pieces: [[UInt8]]) -> [UInt8] {
        var input = [Mode.sealed]
        for part in [words] + pieces {
            input.append(littleEndian: UInt16(part.count))
            input += part
        }
        return input
    }

    /// To each piece as many bytes of its row are bound, which begin behind the count of rows; none where 0.
    func sealed(
        as kind: SealedHeader.Kind, binding rowByteCount: Int, behind start: Int = 4
    ) -> [UInt8] {
        guard mode.seals else { return raw }
        var bytes = Self.place.header(kind, salt: Self.salt).encoded
        let key = SealKey(Self.secret.derived(salt: Self.salt.bytes, for: bytes))
        for (number, piece) in pieces.enumerated() {
            let row = words.dropFirst(start + number * rowByteCount).prefix(rowByteCount)
            key.seal(piece.span, number: UInt32(number), binding: Array(row), onto: &bytes)
        }
        let gap = (4_096 - bytes.count % 4_096) % 4_096
        if gap > 0 {
            let zeros = [UInt8](repeating: 0, count: (gap < 16 ? gap + 4_096 : gap) - 16)
            key.seal(zeros.span, number: .max - 1, binding: [], onto: &bytes)
        }
        var (place, closing): ([UInt8], [UInt8]) = ([], words)
        place.append(littleEndian: UInt64(bytes.count))
        closing += [UInt8](repeating: 0, count: (2 * 4_096 - (words.count + 32) % 4_096) % 4_096)
        key.seal(closing.span, number: .max, binding: place, onto: &bytes)
        bytes.append(littleEndian: UInt64(closing.count + 16))
        return bytes + Array("HLDREND1".utf8)
    }
}

/// A ring in the same way.
///
/// mode u8 · length of what stands before the sealed ring u16 · that; the rest is what is sealed.
struct ToldRing {
    let sealed: [UInt8]

    init(_ bytes: [UInt8]) {
        var input = Input(bytes)
        let mode = Mode(input.byte())
        guard mode.seals else {
            sealed = input.rest()
            return
        }
        let head = input.take(input.word())
        var plain = input.rest()
        var salt: [UInt8] = []
        Digest(of: head.span).append(to: &salt)
        let key = SealKey(
            ToldObject.secret.derived(salt: salt, for: Array("holdfast ring 1".utf8)))
        // What vouches for a first ring is its own; as with a checksum, nothing would be reached otherwise.
        if mode.links, plain.count >= 72, let own = Secret(Array(plain[8..<40])) {
            plain.removeLast(32)
            IDKey(own).id(of: (head + plain).span).append(to: &plain)
        }
        var made = head
        key.seal(plain.span, number: 0, binding: head, onto: &made)
        made.append(littleEndian: Checksum.crc32c(made))
        sealed = made
    }

    static func encoded(_ head: [UInt8], _ plain: [UInt8]) -> [UInt8] {
        var input = [Mode.linked]
        input.append(littleEndian: UInt16(head.count))
        return input + head + plain
    }
}
