internal import CPassphrase

/// What it costs to try one passphrase: whoever has a wrapped key pays it for each guess.
package struct PassphraseCost: Hashable, Sendable {
    package let passes: UInt32
    package let memoryKiB: UInt32
    package let lanes: UInt32

    /// RFC 9106 §4, the second recommended option: a twentieth of a second, and 64 MiB.
    package static let usual = PassphraseCost(passes: 3, memoryKiB: 64 << 10, lanes: 4)
    private static let passesMax: UInt32 = 64
    private static let memoryKiB: ClosedRange<UInt32> = 8 << 10...1 << 20
    private static let lanesMax: UInt32 = 16
    /// Passes times memory: seconds, not hours.
    private static let workKiBMax: UInt64 = 4 << 20

    private init(passes: UInt32, memoryKiB: UInt32, lanes: UInt32) {
        (self.passes, self.memoryKiB, self.lanes) = (passes, memoryKiB, lanes)
    }

    /// nil for costs that nobody would have chosen: so little that guessing is cheap, or so much that reading a
    /// hostile file would take all of a host's memory.
    package init?(checking passes: UInt32, memoryKiB: UInt32, lanes: UInt32) {
        guard (1...Self.passesMax).contains(passes), (1...Self.lanesMax).contains(lanes),
            Self.memoryKiB.contains(memoryKiB),
            UInt64(passes) * UInt64(memoryKiB) <= Self.workKiBMax
        else { return nil }
        self.init(passes: passes, memoryKiB: memoryKiB, lanes: lanes)
    }
}

extension Secret {
    package static let passphraseSaltByteCount = 16

    /// What a passphrase stands for (Argon2id, RFC 9106). nil where it is empty, or memory is short.
    package init?(passphrase: [UInt8], salt: [UInt8], cost: PassphraseCost) {
        guard !passphrase.isEmpty else { return nil }
        var made = [UInt8](repeating: 0, count: Self.byteCount)
        let isMade = unsafe made.withUnsafeMutableBytes { made in
            unsafe passphrase.withUnsafeBytes { passphrase in
                unsafe salt.withUnsafeBytes { salt in
                    unsafe holdfast_argon2id(
                        cost.passes, cost.memoryKiB, cost.lanes, passphrase.baseAddress,
                        passphrase.count, salt.baseAddress, salt.count, made.baseAddress)
                }
            }
        }
        guard isMade else { return nil }
        self.init(made)
    }
}
