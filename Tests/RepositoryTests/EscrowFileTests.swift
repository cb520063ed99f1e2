import Sealing
import Testing

@testable import Repository

@Suite("Escrow keys in files") struct EscrowFileTests {
    /// The public half and the checks were computed by RFC 7748 §5 and bit by bit, in Python.
    private static let digits = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ac177fba51db92c2a"
    private static let publicDigits =
        "2953e97dca1229f97c600bec2c17feeaab35ce4bedf66b1d42f16a449dc5c05f"
    private static let privateLines = [
        "# An escrow key to Holdfast backups. Whoever has it and the repository can read them all.",
        "holdfast-escrow 1", "public \(publicDigits)", "secret \(digits)", "check 167a0cec",
    ]
    private static let publicLines = [
        "# The public half of an escrow key to Holdfast backups. It closes, and opens nothing.",
        "holdfast-escrow-public 1", "public \(publicDigits)", "check 328dea27",
    ]

    private static func bytes(_ lines: [String]) -> [UInt8] {
        Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private static func secret() throws -> Secret {
        let bytes = stride(from: 0, to: 64, by: 2).compactMap { at in
            UInt8(digits.dropFirst(at).prefix(2), radix: 16)
        }
        return try #require(Secret(bytes))
    }

    @Test func `both halves are written as documented, and read back`() throws {
        let secret = try Self.secret()
        let text = try #require(EscrowFile.text(of: secret))
        #expect(text == Self.bytes(Self.privateLines))
        let key = try EscrowFile.privateKey(parsing: text)
        let publicKey = try #require(key.publicKey)
        #expect(EscrowFile.text(of: publicKey) == Self.bytes(Self.publicLines))
        #expect(try EscrowFile.publicKey(parsing: Self.bytes(Self.publicLines)) == publicKey)
        #expect(EscrowFile.isPrivate(text) && !EscrowFile.isPrivate(Self.bytes(Self.publicLines)))
    }

    @Test func `any other digit, and any line too few or too many, is noticed`() throws {
        for (lines, isPrivate) in [(Self.privateLines, true), (Self.publicLines, false)] {
            func refusal(_ bytes: [UInt8]) -> EscrowFileRefused? {
                do throws(EscrowFileRefused) {
                    if isPrivate {
                        _ = try EscrowFile.privateKey(parsing: bytes)
                    } else {
                        _ = try EscrowFile.publicKey(parsing: bytes)
                    }
                    return nil
                } catch { return error }
            }
            let whole = Self.bytes(lines)
            let start = lines[0].utf8.count + lines[1].utf8.count + 2
            for at in start..<whole.count - 1 {
                var other = whole
                other[at] = other[at] == 0x38 ? 0x39 : 0x38
                #expect(refusal(other) == .damaged, "byte \(at)")
            }
            for at in lines.indices.dropFirst(2) {
                var fewer = lines
                fewer.remove(at: at)
                #expect(refusal(Self.bytes(fewer)) == .damaged)
                #expect(refusal(Self.bytes(lines + [lines[at]])) == .damaged)
            }
            #expect(refusal(Self.bytes([lines[1].replacing("1", with: "2")])) == .unknownVersion)
            #expect(refusal([]).map { "\($0)" }?.contains("does not begin with") == true)
        }
    }

    @Test func `one half is never taken for the other`() throws {
        #expect(throws: EscrowFileRefused.noEscrowFile("holdfast-escrow")) {
            try EscrowFile.privateKey(parsing: Self.bytes(Self.publicLines))
        }
        #expect(throws: EscrowFileRefused.noEscrowFile("holdfast-escrow-public")) {
            try EscrowFile.publicKey(parsing: Self.bytes(Self.privateLines))
        }
    }
}
