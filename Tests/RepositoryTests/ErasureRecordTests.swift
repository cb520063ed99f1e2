import Mesh
import Sealing
import Testing

@testable import Repository

@Suite("Records of erasures") struct ErasureRecordTests {
    private static func key(_ byte: UInt8) throws -> SigningKey {
        SigningKey(try #require(Secret([UInt8](repeating: byte, count: 32))))
    }

    private static func record(by: String = "ann", reason: String = "GDPR 17") -> ErasureRecord? {
        ErasureRecord(
            repository: RepositoryID(high: 1, low: 10), tenant: TenantID(high: 2, low: 11),
            time: WallTime(5_000_000_000), by: by, reason: reason,
            rings: [.init(number: 1, digest: .ofNothing), .init(number: 2, digest: .ofNothing)])
    }

    @Test func `a record is read back by who has the public key`() throws {
        let (record, key) = (try #require(Self.record()), try Self.key(1))
        let text = try #require(record.text(signedBy: key))
        #expect(
            String(decoding: text, as: UTF8.self).hasPrefix(
                """
                holdfast-erasure 1
                repository 0000000000000001000000000000000a
                tenant 0000000000000002000000000000000b
                time 5000000000
                by ann
                reason GDPR 17
                ring 1 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

                """))
        #expect(try ErasureRecord(parsing: text, signedBy: #require(key.publicKey)) == record)
    }

    @Test func `whatever is changed in a record, it is none`() throws {
        let (record, key) = (try #require(Self.record()), try Self.key(1))
        let text = try #require(record.text(signedBy: key))
        let publicKey = try #require(key.publicKey)
        for at in text.indices {
            var other = text
            other[at] ^= 1
            #expect(throws: ErasureRefused.self, "byte \(at)") {
                try ErasureRecord(parsing: other, signedBy: publicKey)
            }
            #expect(throws: ErasureRefused.self) {
                try ErasureRecord(parsing: Array(text[..<at]), signedBy: publicKey)
            }
        }
        let stranger = try Self.key(2)
        let forged = try #require(record.text(signedBy: stranger))
        #expect(throws: ErasureRefused.anotherKey(try #require(stranger.publicKey))) {
            try ErasureRecord(parsing: forged, signedBy: publicKey)
        }
    }

    @Test func `words that could pass for another line are not taken`() {
        for words in ["", "a\nring 9 x", "a\u{7f}", String(repeating: "x", count: 256)] {
            #expect(Self.record(by: words) == nil && Self.record(reason: words) == nil)
        }
    }

    @Test func `all rings of a tenant give one erasure key, and no other tenant's does`() throws {
        func ring(_ byte: UInt8) throws -> KeyRing {
            let secret = try #require(Secret([UInt8](repeating: byte, count: 32)))
            return KeyRing(
                repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 3, low: 4),
                idSecret: secret, succession: secret, first: secret, at: .zero)
        }
        var own = try ring(1)
        let other = try ring(2)
        let before = own.erasureKey.publicKey
        let secret = try #require(Secret([UInt8](repeating: 9, count: 32)))
        let renewal = KeyRing.Renewal(idSecret: secret, succession: secret)
        let isTurned = own.rotate(to: secret, renewing: renewal, at: .zero)
        #expect(isTurned && before != nil && own.erasureKey.publicKey == before)
        #expect(other.erasureKey.publicKey != before)
    }
}
