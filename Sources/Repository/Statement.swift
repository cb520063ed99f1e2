package import Mesh
internal import Sealing

/// What an object says that has no pieces: all of it is in the closing one.
///
/// docs/formats/repository.md, "Statements".
package protocol Statement: Hashable, Sendable {
    static var kind: SealedHeader.Kind { get }
    /// No object that says such a thing is larger.
    static var byteCountMax: Int { get }
    var words: [UInt8] { get }
    /// Reads what `words` are; what follows is looked at by who calls.
    init(parsing reader: inout ByteReader) throws
}

/// The version with which all statements begin.
enum StatementVersion {
    static let current: UInt32 = 1

    static func demand(_ reader: inout ByteReader) throws {
        let version = try reader.u32()
        guard version == current else { throw ObjectDamage.unknownVersion(version) }
    }
}

extension Statement {
    /// The object that says it. `random` is drawn for it.
    package func sealed(in place: SealedPlace, random: Salt) throws(ObjectDamage) -> [UInt8] {
        let bytes = SealedWords.seal(words, as: Self.kind, in: place, random: random)
        guard try Self(bytes, for: place) == self else {
            throw .contents("it reads as something else")
        }
        return bytes
    }

    /// Reads the object that `bytes` are, all of them.
    package init(_ bytes: [UInt8], for place: SealedPlace) throws(ObjectDamage) {
        let words = try SealedWords.open(
            bytes, as: Self.kind, atMost: Self.byteCountMax, for: place)
        self = try ObjectDamage.reading(orCutOff: "it is cut off") {
            var reader = ByteReader(words)
            let statement = try Self(parsing: &reader)
            guard try reader.take(reader.remaining)[...].isZero else {
                throw ObjectDamage.contents("it says more than a \(Self.kind) says")
            }
            return statement
        }
    }
}

/// Objects whose closing piece is all they have.
enum SealedWords {
    static func seal(
        _ words: [UInt8], as kind: SealedHeader.Kind, in place: SealedPlace, random: Salt
    ) -> [UInt8] {
        let header = place.header(kind, salt: place.key.salt(random, for: words))
        var bytes = header.encoded
        SealedObject.close(&bytes, words, key: place.key.key(of: header))
        return bytes
    }

    /// What it says, and the zeros behind that.
    static func open(
        _ bytes: [UInt8], as kind: SealedHeader.Kind, atMost byteCountMax: Int,
        for place: SealedPlace
    ) throws(ObjectDamage) -> [UInt8] {
        guard bytes.count <= byteCountMax else { throw .oversized(bytes.count) }
        let (_, key) = try place.open(bytes, as: kind)
        let (words, start) = try SealedObject.closing(bytes, of: bytes.count, key: key)
        let padding = try SealedObject.padding(behind: SealedHeader.byteCount, upTo: start)
        try SealedObject.checkPadding(bytes, padding, key: key)
        return words
    }
}

extension [UInt8] {
    /// A text behind its length in bytes, a u16.
    mutating func append(text: String) {
        append(littleEndian: UInt16(text.utf8.count))
        append(contentsOf: text.utf8)
    }
}

extension ByteReader {
    /// nil for what is no text, or longer than that.
    mutating func text(atMost byteCountMax: Int) throws(Truncated) -> String? {
        let count = Int(try u16())
        guard count <= byteCountMax else { return nil }
        return String(validating: try take(count), as: UTF8.self)
    }
}
