internal import Mesh
package import Sealing

/// What a map says of one cell, or of all cells below a node.
package enum Slot: Hashable, Sendable {
    /// Nothing was ever written there, or it was given back: it reads as zeros and takes no room.
    case hole
    case zeros
    /// A cell, or a node.
    case stored(Digest)
}

/// 256 slots of a volume's map: cells at level 0, nodes of the level below above that.
///
/// Two nodes that say the same are the same bytes, so that two maps share whatever they agree in (a
/// Merkle tree). docs/formats/repository.md, "Maps".
package struct MapNode: Hashable, Sendable {
    package static let slotCount = 256
    private static let headByteCount = 4
    private static let statesByteCount = slotCount / 4

    package let level: Int
    /// `slotCount` of them.
    package let slots: [Slot]

    package init(level: Int, slots: [Slot]) {
        invariant(slots.count == Self.slotCount, "a node has 256 slots")
        (self.level, self.slots) = (level, slots)
    }

    package var encoded: [UInt8] {
        var bytes: [UInt8] = [UInt8(level), 0, 0, 0]
        bytes.reserveCapacity(
            Self.headByteCount + Self.statesByteCount + Self.slotCount * Digest.byteCount)
        for four in stride(from: 0, to: Self.slotCount, by: 4) {
            bytes.append(
                (0..<4).reduce(0) { $0 | slots[four + $1].state << (2 * UInt8($1)) })
        }
        for case .stored(let id) in slots { id.append(to: &bytes) }
        return bytes
    }

    /// Reads the node of `level` that `bytes` are, all of them.
    package init(parsing bytes: [UInt8], level: Int) throws(ObjectDamage) {
        let slots = try ObjectDamage.reading(orCutOff: "a node is cut off") {
            var reader = ByteReader(bytes)
            guard try reader.u32() == UInt32(level) else {
                throw ObjectDamage.contents("it is no node of level \(level)")
            }
            let slots = try Self.slots(&reader)
            guard reader.remaining == 0 else {
                throw ObjectDamage.contents("a node has \(reader.remaining) bytes too many")
            }
            return slots
        }
        guard Self.whole(slots) == nil else {
            throw .contents("a node says what its slot could have said")
        }
        self.init(level: level, slots: slots)
    }

    private static func slots(_ reader: inout ByteReader) throws -> [Slot] {
        let states = try reader.take(statesByteCount)
        return try (0..<slotCount).map { at in
            switch states[at / 4] >> (2 * (at % 4)) & 3 {
            case 0: .hole
            case 1: .zeros
            case 2: .stored(try Digest(parsing: &reader))
            default: throw ObjectDamage.contents("slot \(at) of a node is of no known kind")
            }
        }
    }

    /// What all of `slots` say alike, so that no node is needed.
    static func whole(_ slots: [Slot]) -> Slot? {
        guard let first = slots.first else { return nil }
        if case .stored = first { return nil }
        return slots.allSatisfy { $0 == first } ? first : nil
    }
}

extension Slot {
    fileprivate var state: UInt8 {
        switch self {
        case .hole: 0
        case .zeros: 1
        case .stored: 2
        }
    }
}
