package import Mesh
package import Sealing

/// Somebody's word that a backup is not to be let go of, whatever the rules say.
package struct Hold: Statement {
    package static let kind = SealedHeader.Kind.hold
    package static let byteCountMax = 64 << 10
    package static let reasonByteCountMax = 1_024

    package let backup: UInt64
    /// Of that backup's manifest.
    package let manifest: Digest
    /// When it was said, by the clock of who did.
    package let time: WallTime
    package let reason: String

    /// nil for a reason that is empty or too long.
    package init?(_ backup: UInt64, manifest: Digest, time: WallTime, reason: String) {
        guard (1...Self.reasonByteCountMax) ~= reason.utf8.count else { return nil }
        (self.backup, self.manifest, self.time) = (backup, manifest, time)
        self.reason = reason
    }

    package var words: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: StatementVersion.current)
        bytes.append(littleEndian: backup)
        manifest.append(to: &bytes)
        bytes.append(name: time)
        bytes.append(text: reason)
        return bytes
    }

    package init(parsing reader: inout ByteReader) throws {
        try StatementVersion.demand(&reader)
        let backup = try reader.u64()
        let manifest = try Digest(parsing: &reader)
        let time: WallTime = try reader.name()
        let reason = try reader.text(atMost: Self.reasonByteCountMax)
        guard let reason,
            let hold = Self(backup, manifest: manifest, time: time, reason: reason)
        else { throw ObjectDamage.contents("its reason is none") }
        self = hold
    }
}
