package import Mesh
package import Sealing

/// What is said of a collection: what nothing leads to any more, what of that is deleted, and that it was.
package struct CollectionStatement: Statement {
    package static let kind = SealedHeader.Kind.collection
    /// What is more waits for the next collection.
    package static let packsMax = 1 << 20
    package static let indexesMax = 1 << 16
    package static let manifestsMax = 1 << 16
    static let rangesMax = 1 << 16
    package static let byteCountMax = 48 << 20

    /// Objects of a repository.
    package struct Names: Hashable, Sendable {
        package var manifests: [UInt64] = []
        package var indexes: [Digest] = []
        package var packs: [Digest] = []
        package init() {}

        package var isEmpty: Bool { manifests.isEmpty && indexes.isEmpty && packs.isEmpty }

        /// In their order, none twice, and not too many.
        var isLawful: Bool {
            Self.ascends(manifests) && Self.ascends(indexes) && Self.ascends(packs)
                && manifests.count <= manifestsMax && indexes.count <= indexesMax
                && packs.count <= packsMax
        }

        private static func ascends<Name: Comparable>(_ names: [Name]) -> Bool {
            zip(names, names.dropFirst()).allSatisfy { $0 < $1 }
        }
    }

    package enum Step: Hashable, Sendable {
        /// The tombstones: what nothing that is kept leads to.
        case begun(Names)
        /// What is spared of the tombstones with that digest; all else of them is deleted. `letGo` are the numbers of all
        /// backups that were ever let go of, these included.
        case decided(tombstones: Digest, spared: Names, letGo: NumberSet)
        case ended
    }

    package let number: UInt64
    package let step: Step

    /// Names that are not in their order, or too many, are bugs of the caller.
    package init(_ number: UInt64, _ step: Step) {
        invariant(step.isLawful, "names in their order")
        (self.number, self.step) = (number, step)
    }

    package var stage: Stage {
        switch step {
        case .begun: .begun
        case .decided: .decided
        case .ended: .ended
        }
    }

    package var words: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: StatementVersion.current)
        bytes.append(littleEndian: number)
        bytes.append(contentsOf: [stage.rawValue, 0, 0, 0])
        switch step {
        case .begun(let names): names.append(to: &bytes)
        case .decided(let tombstones, let spared, let letGo):
            tombstones.append(to: &bytes)
            bytes.append(littleEndian: UInt32(letGo.ranges.count))
            for range in letGo.ranges {
                bytes.append(littleEndian: [range.lowerBound, range.upperBound])
            }
            spared.append(to: &bytes)
        case .ended: break
        }
        return bytes
    }

    package init(parsing reader: inout ByteReader) throws {
        try StatementVersion.demand(&reader)
        let number = try reader.u64()
        let (stage, rest) = (Stage(rawValue: try reader.u8()), try reader.take(3))
        guard rest[...].isZero else { throw Self.unlawful }
        let step: Step =
            switch stage {
            case .begun: .begun(try Names(parsing: &reader))
            case .decided:
                .decided(
                    tombstones: try Digest(parsing: &reader),
                    letGo: try NumberSet(parsing: &reader),
                    spared: try Names(parsing: &reader))
            case .ended: .ended
            case nil: throw Self.unlawful
            }
        guard step.isLawful else { throw Self.unlawful }
        self.init(number, step)
    }

    private static let unlawful = ObjectDamage.contents("it says what nobody says of a collection")
}

extension CollectionStatement.Step {
    /// In the order in which they are written.
    fileprivate static func decided(
        tombstones: Digest, letGo: NumberSet, spared: CollectionStatement.Names
    ) -> Self { .decided(tombstones: tombstones, spared: spared, letGo: letGo) }

    fileprivate var isLawful: Bool {
        switch self {
        case .begun(let names), .decided(_, let names, _): names.isLawful
        case .ended: true
        }
    }
}

extension CollectionStatement.Names {
    fileprivate func append(to bytes: inout [UInt8]) {
        bytes.append(littleEndian: UInt32(manifests.count))
        for number in manifests { bytes.append(littleEndian: number) }
        for names in [indexes, packs] {
            bytes.append(littleEndian: UInt32(names.count))
            for name in names { name.append(to: &bytes) }
        }
    }

    fileprivate init(parsing reader: inout ByteReader) throws {
        manifests = try reader.list { (reader) throws in try reader.u64() }
        indexes = try reader.list { (reader) throws in try Digest(parsing: &reader) }
        packs = try reader.list { (reader) throws in try Digest(parsing: &reader) }
    }
}

extension ByteReader {
    /// As many as a u32 says; each has eight bytes at least, so that a claim takes no memory.
    fileprivate mutating func list<Item>(
        _ read: (inout ByteReader) throws -> Item
    ) throws -> [Item] {
        let count = Int(try u32())
        guard count <= remaining / 8 else { throw ObjectDamage.contents("it is cut off") }
        var items: [Item] = []
        items.reserveCapacity(count)
        for _ in 0..<count { items.append(try read(&self)) }
        return items
    }
}

/// Numbers, as ranges: most that were let go of follow each other.
package struct NumberSet: Hashable, Sendable {
    /// In their order, with gaps between them.
    package private(set) var ranges: [ClosedRange<UInt64>] = []
    package init() {}

    package init(_ numbers: some Sequence<UInt64>) {
        for number in numbers.sorted() {
            if let last = ranges.last, number <= last.upperBound { continue }
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
    }

    package func contains(_ number: UInt64) -> Bool {
        let at = ranges.partitionPoint { $0.upperBound >= number }
        return at < ranges.count && ranges[at].contains(number)
    }

    package func union(_ numbers: some Sequence<UInt64>) -> NumberSet {
        var joined = NumberSet()
        let all = (ranges + NumberSet(numbers).ranges).sorted { $0.lowerBound < $1.lowerBound }
        for range in all {
            if let last = joined.ranges.last, range.lowerBound <= last.upperBound + 1 {
                joined.ranges[joined.ranges.count - 1] =
                    last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                joined.ranges.append(range)
            }
        }
        return joined
    }

    fileprivate init(parsing reader: inout ByteReader) throws {
        let pairs = try reader.list { (reader) throws in (try reader.u64(), try reader.u64()) }
        for (first, last) in pairs {
            guard first <= last, last <= LogIndex.countMax.rawValue,
                ranges.last.map({ $0.upperBound + 1 < first }) ?? (first > 0)
            else { throw ObjectDamage.contents("numbers in it are not in their order") }
            ranges.append(first...last)
        }
    }
}
