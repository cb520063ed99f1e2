import Sealing
import Testing

@testable import Repository

@Suite("Key files") struct KeyFileTests {
    /// Written down by hand; the check was computed bit by bit in Python.
    private static let lines = [
        "# A key to Holdfast backups. Whoever has it and the repository can read them all; without a key nobody can.",
        "holdfast-key 1",
        "repository 0000000000000001000000000000000a",
        "tenant 0000000000000002000000000000000b",
        "secret 0707070707070707070707070707070707070707070707070707070707070707",
        "check 2ef6cc5f",
    ]
    private static let whole = lines.joined(separator: "\n") + "\n"

    private static func file() throws -> KeyFile {
        let secret = try #require(Secret([UInt8](repeating: 7, count: 32)))
        return KeyFile(
            repository: RepositoryID(high: 1, low: 10), tenant: TenantID(high: 2, low: 11),
            secret: secret)
    }

    @Test func `a key file is read back as it was written, and written as documented`() throws {
        let file = try Self.file()
        #expect(String(decoding: file.text, as: UTF8.self) == Self.whole)
        let read = try KeyFile(parsing: file.text)
        #expect(read.repository == file.repository && read.tenant == file.tenant)
        #expect(read.secret.isSame(as: file.secret))
    }

    @Test(arguments: [
        whole.replacing("\n", with: "\r\n"), whole.replacing("\n", with: "\n\n# the spare one\n"),
        String(whole.dropLast()), lines.dropFirst().joined(separator: "\n"),
    ])
    func `what an editor or a person added does no harm`(text: String) throws {
        let read = try KeyFile(parsing: Array(text.utf8))
        #expect(try read.secret.isSame(as: Self.file().secret))
    }

    @Test(
        arguments: [
            ("", .noKeyFile), ("# nothing\n", .noKeyFile), ("-----BEGIN KEY-----\n", .noKeyFile),
            (lines.dropFirst(2).joined(separator: "\n"), .noKeyFile),
            (whole + String(repeating: "#", count: KeyFile.byteCountMax), .noKeyFile),
            ("holdfast-key 2\nanything else", .unknownVersion(2)),
            ("holdfast-key one", .malformed(.version)), ("holdfast-key", .malformed(.version)),
            ("holdfast-key 1", .missing(.repository)),
            (whole + "secret 00\n", .surplus), (whole + whole, .surplus),
        ] as [(String, KeyFileRefused)])
    func `what is no key file is told from one that is damaged`(
        text: String, why: KeyFileRefused
    ) {
        #expect(throws: why) { try KeyFile(parsing: Array(text.utf8)) }
    }

    @Test(arguments: KeyFile.Line.allCases.dropFirst())
    func `a line that is missing or malformed is named, and never shown`(line: KeyFile.Line)
        throws
    {
        let at = try #require(Self.lines.firstIndex { $0.hasPrefix(line.rawValue) })
        var lines = Self.lines
        lines.remove(at: at)
        let short = lines.joined(separator: "\n")
        #expect(throws: KeyFileRefused.missing(line)) { try KeyFile(parsing: Array(short.utf8)) }
        let own = Self.lines[at]
        for bad in [
            String(own.dropLast()), own + "0", own + " ", String(own.dropLast(3)) + "g0é",
            line.rawValue, own.replacing(" ", with: "  "),
        ] {
            lines = Self.lines
            lines[at] = bad
            let text = lines.joined(separator: "\n")
            #expect(throws: KeyFileRefused.malformed(line), "\(bad)") {
                try KeyFile(parsing: Array(text.utf8))
            }
        }
        #expect(!"\(KeyFileRefused.malformed(line))".contains("07"))
    }

    /// Copied from paper: one digit is another one.
    @Test func `any other digit is noticed`() throws {
        let text = Array(Self.whole.utf8)
        let start = try #require(Self.whole.utf8.firstIndex(of: UInt8(ascii: "\n")))
        let from = Self.whole.utf8.distance(from: Self.whole.utf8.startIndex, to: start)
        for at in from..<text.count where text[at] == UInt8(ascii: "0") {
            var other = text
            other[at] = UInt8(ascii: "8")
            #expect(throws: KeyFileRefused.check, "byte \(at)") { try KeyFile(parsing: other) }
        }
    }
}
