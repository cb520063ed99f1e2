internal import Mesh
internal import Record
package import Sealing

/// A secret that opens a tenant's rings, as a file that people copy, print and lock away. It says whose it is, so that
/// a wrong one is told before anything is tried, and a slip of the pen is told from a wrong one
/// (docs/formats/repository.md, "Key files").
package struct KeyFile: Sendable {
    package static let byteCountMax = 4 << 10
    static let version: UInt32 = 1

    package let repository: RepositoryID
    package let tenant: TenantID
    package let secret: Secret

    package init(repository: RepositoryID, tenant: TenantID, secret: Secret) {
        (self.repository, self.tenant, self.secret) = (repository, tenant, secret)
    }

    /// What a line begins with, in the order of the lines.
    package enum Line: String, CaseIterable, Sendable {
        case version = "holdfast-key"
        case repository, tenant, secret, check
    }

    /// The whole file. It holds the secret: it goes into a file that its owner alone may read, and nowhere else.
    package var text: [UInt8] {
        // No digest, but spelled like one.
        let digits = secret.withBytes { Digest($0).description }
        let checked =
            Self.line(.version, "\(Self.version)".utf8)
            + Self.line(.repository, repository.description.utf8)
            + Self.line(.tenant, tenant.description.utf8) + Self.line(.secret, digits.utf8)
        return Array(Self.heading.utf8) + checked
            + Self.line(.check, Self.check(of: checked).utf8)
    }

    private static let heading =
        "# A key to Holdfast backups. Whoever has it and the repository can read them all; "
        + "without a key nobody can.\n"

    private static func line(_ line: Line, _ value: some Sequence<UInt8>) -> [UInt8] {
        Array(line.rawValue.utf8) + [UInt8(ascii: " ")] + value + [UInt8(ascii: "\n")]
    }

    private static func check(of lines: [UInt8]) -> String {
        digits(ofCheck: Checksum.crc32c(lines))
    }

    static func digits(ofCheck sum: UInt32) -> String {
        let digits = String(sum, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}

extension KeyFile {
    /// Reads a file's bytes. Lines that are empty or begin with `#` are skipped; an editor may have ended the others
    /// with a carriage return.
    package init(parsing bytes: [UInt8]) throws(KeyFileRefused) {
        guard bytes.count <= Self.byteCountMax else { throw .noKeyFile }
        var lines = Self.lines(bytes)
        guard lines.first?.first.map({ $0.elementsEqual(Line.version.rawValue.utf8) }) ?? false
        else { throw .noKeyFile }
        let version = try Self.take(.version, &lines, UInt32.init(_:))
        guard version == Self.version else { throw .unknownVersion(version) }
        let repository = try Self.take(.repository, &lines, Hexadecimal.words)
        let tenant = try Self.take(.tenant, &lines, Hexadecimal.words)
        let secret = try Self.take(.secret, &lines, Self.secret)
        let check = try Self.take(.check, &lines) { $0.utf8.count == 8 ? $0 : nil }
        guard lines.isEmpty else { throw .surplus }
        self.init(
            repository: RepositoryID(high: repository.high, low: repository.low),
            tenant: TenantID(high: tenant.high, low: tenant.low), secret: secret)
        // In the one way that they are written: a capital letter is another byte.
        let whole = Self.lines(text).last?.last ?? []
        guard whole.elementsEqual(check.utf8) else { throw .check }
    }

    /// Those that count, each as its words.
    static func lines(_ bytes: [UInt8]) -> [[ArraySlice<UInt8>]] {
        bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            guard !line.isEmpty, line.first != UInt8(ascii: "#") else { return nil }
            return line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        }
    }

    private static func take<Value>(
        _ line: Line, _ lines: inout [[ArraySlice<UInt8>]], _ read: (String) -> Value?
    ) throws(KeyFileRefused) -> Value {
        guard let words = lines.first, let word = words.first,
            word.elementsEqual(line.rawValue.utf8)
        else { throw .missing(line) }
        lines.removeFirst()
        guard words.count == 2, let text = String(validating: words[1], as: UTF8.self),
            let value = read(text)
        else { throw .malformed(line) }
        return value
    }

    private static func secret(_ text: String) -> Secret? {
        var bytes: [UInt8] = []
        Digest(text)?.append(to: &bytes)
        return Secret(bytes)
    }
}

/// Why a file gives no key. Nothing here holds a byte of what stands in it.
package enum KeyFileRefused: Error, Hashable, Sendable, CustomStringConvertible {
    /// It may be any other file.
    case noKeyFile
    case unknownVersion(UInt32)
    case missing(KeyFile.Line)
    case malformed(KeyFile.Line)
    /// There is something behind the last line.
    case surplus
    /// Each line is in order, and one of them is not as it was written.
    case check

    package var description: String {
        switch self {
        case .noKeyFile: "it is no key file"
        case .unknownVersion(let version):
            "its version \(version) is not known here; version \(KeyFile.version) is"
        case .missing(let line):
            "it is damaged: where the line `\(line.rawValue)` belongs is none"
        case .malformed(let line): "it is damaged: its line `\(line.rawValue)` is malformed"
        case .surplus: "it is damaged: there is more behind its last line"
        case .check: "it is damaged: its lines are not those that its check was made of"
        }
    }
}
