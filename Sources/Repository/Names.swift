internal import Mesh
internal import Sealing

/// One repository, drawn once: what belongs to another is never taken for its own.
package struct RepositoryID: Hashable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64
    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
    package var description: String { Hexadecimal.text(high) + Hexadecimal.text(low) }
}

/// Whose data it is. Each tenant has keys of its own: nothing is shared between two, and whoever
/// destroys one tenant's keys destroys no other's data.
package struct TenantID: Hashable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64
    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
    package var description: String { Hexadecimal.text(high) + Hexadecimal.text(low) }
}

/// Counts a tenant's rotations: what is written after one is sealed by another key.
package struct KeyEpoch: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }
    package static let first = KeyEpoch(1)
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue) }
}

/// 256 bits: as they are drawn for one object, or as they stand in it, made from those and from what it
/// holds. With the epoch's key the object's own key is made from the latter.
package struct Salt: Hashable, Sendable {
    package static let byteCount = 32
    package let bytes: [UInt8]
    /// nil unless there are 32 bytes.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// A salt is no secret; one that was derived tells nothing of what it was derived from.
    init(_ derived: Secret) {
        bytes = derived.withBytes { bytes in bytes.indices.map { bytes[$0] } }
    }
}
