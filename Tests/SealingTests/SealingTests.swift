import Mesh
import Sealing
import Testing

func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = Array(hexadecimal.utf8)
    return stride(from: 0, to: digits.count, by: 2).map { at in
        UInt8(String(decoding: digits[at..<at + 2], as: UTF8.self), radix: 16) ?? 0
    }
}

@Suite("Names of bytes") struct DigestTests {
    /// FIPS 180-4's own example.
    @Test func `a digest is SHA-256`() {
        let digest = Digest(of: Array("abc".utf8).span)
        let words = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(digest.description == words)
        #expect(Digest(words) == digest)
        #expect(Digest(String(words.dropLast())) == nil)
        #expect(Digest(String(words.dropLast()) + "g") == nil)
    }

    /// RFC 4231, test case 1; zeros behind a key change nothing of it.
    @Test func `an id is HMAC-SHA-256`() throws {
        let secret = try #require(
            Secret([UInt8](repeating: 0x0b, count: 20) + [UInt8](repeating: 0, count: 12)))
        #expect(
            IDKey(secret).id(of: Array("Hi There".utf8).span).description
                == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    }

    /// Lengths around SHA-256's blocks, and around what the library takes; more texts than it takes at once.
    @Test(arguments: [1, 55, 56, 63, 64, 65, 4_096, 16_384, 65_534, 65_535, 65_536])
    func `many texts at once have the ids that they have one by one`(byteCount: Int) throws {
        let secret = try #require(Secret((0..<32).map { UInt8($0) }))
        let key = IDKey(secret)
        var namer = IDNamer(key)
        var bytes = [UInt8](repeating: 0, count: byteCount + 1_024)
        var word: UInt64 = 77
        for at in bytes.indices {
            word = word &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            bytes[at] = UInt8(truncatingIfNeeded: word >> 56)
        }
        for count in [0, 1, 2, 3, 17, 127, 128, 129, 300] {
            let starts = (0..<count).map { $0 * 7 % 1_024 }
            let expected = starts.map {
                key.id(of: bytes.span.extracting($0..<$0 + byteCount))
            }
            #expect(namer.ids(of: starts, byteCount: byteCount, in: bytes.span) == expected)
        }
    }

    @Test func `digests are read back as they were, and ordered as their bytes are`() throws {
        let digests = (0..<64).map { Digest(of: [UInt8($0)].span) }
        for digest in digests {
            var bytes: [UInt8] = []
            digest.append(to: &bytes)
            #expect(Digest(bytes.span) == digest)
            var reader = ByteReader(bytes)
            #expect(try Digest(parsing: &reader) == digest)
        }
        #expect(digests.sorted().map(\.description) == digests.map(\.description).sorted())
    }
}

@Suite("Seals") struct SealTests {
    static let secret = Secret([UInt8](0..<32))
    static let plain = Array("the quick brown fox".utf8)

    /// Computed by Python's `hmac`, after RFC 5869 §2.
    @Test func `a secret derived is HKDF's`() throws {
        let secret = try #require(Self.secret)
        let derived = secret.derived(salt: [UInt8](0..<13), for: Array("info".utf8))
        let made = derived.withBytes { Digest($0).description }
        #expect(made == "3cd98102e0234987651ecd031e16650dacc14a6787d9b27fae6a302b22bfdc6c")
    }

    /// Computed by Python's `cryptography`, which calls OpenSSL.
    @Test func `a seal is AES-256-GCM with the piece's number as nonce`() throws {
        let key = SealKey(try #require(Self.secret))
        var sealed: [UInt8] = []
        key.seal(Self.plain.span, number: 7, binding: [1, 2, 3], onto: &sealed)
        #expect(
            sealed
                == bytes("9ab3aacaf41cb205b053a979a373609a245ae8693c59f71aadd94f9cb47efea1722ec3"))
    }

    @Test func `what was sealed opens as it was, and only so`() throws {
        let key = SealKey(try #require(Self.secret))
        var sealed: [UInt8] = []
        key.seal(Self.plain.span, number: 7, binding: [1, 2, 3], onto: &sealed)
        #expect(sealed.count == Self.plain.count + SealKey.tagByteCount)
        #expect(key.open(sealed.span, number: 7, binding: [1, 2, 3]) == Self.plain)
        #expect(key.open(sealed.span, number: 8, binding: [1, 2, 3]) == nil)
        #expect(key.open(sealed.span, number: 7, binding: [1, 2]) == nil)
        #expect(key.open([UInt8]().span, number: 7, binding: [1, 2, 3]) == nil)
        for at in sealed.indices {
            var hurt = sealed
            hurt[at] ^= 1
            #expect(key.open(hurt.span, number: 7, binding: [1, 2, 3]) == nil)
        }
        let other = SealKey(try #require(Secret([UInt8](1...32))))
        #expect(other.open(sealed.span, number: 7, binding: [1, 2, 3]) == nil)
    }

    @Test func `a secret shows itself to nobody`() throws {
        let secret = try #require(Self.secret)
        var dumped = ""
        dump(secret, to: &dumped)
        #expect("\(secret)" == "(secret)" && String(reflecting: secret) == "(secret)")
        #expect(dumped == "- (secret)\n")
        #expect(Secret([1, 2, 3]) == nil)
    }
}
