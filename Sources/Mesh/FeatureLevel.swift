/// What a program knows beyond the first release: a command, a letter or a format of a level is used
/// only once the mesh has agreed on that level in its log (consensus.md).
package struct FeatureLevel: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt8

    /// nil of what no release can speak. A level travels as a byte.
    package init?(_ number: UInt64) {
        guard number > 0, let value = UInt8(exactly: number) else { return nil }
        rawValue = value
    }

    private init(known value: UInt8) { rawValue = value }

    /// The release that knew of no levels. A mesh that has agreed on nothing stands here.
    package static let first = FeatureLevel(known: 1)
    /// What this program speaks: the levels themselves came with it, backups on a schedule, and volumes that grow.
    package static let spoken = FeatureLevel(known: 2)
    /// From here on members tell in the log who makes a backup.
    package static let backups = FeatureLevel(known: 2)
    /// From here on a volume can be made longer.
    package static let growth = FeatureLevel(known: 2)
    /// The lowest one beside which this program works: its neighbour.
    package static let lowest = first

    /// nil above the last one that can be told.
    package var next: FeatureLevel? { FeatureLevel(UInt64(rawValue) + 1) }
    /// What a mesh must have agreed on before it agrees on this one.
    package var previous: FeatureLevel { FeatureLevel(known: max(1, rawValue - 1)) }

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    package var description: String { "\(rawValue)" }
}

/// The mesh has agreed on a level that this program does not speak. Nothing but another program mends
/// that: the log may hold what this one would misread.
package struct LevelAhead: Error, Hashable, Sendable, CustomStringConvertible {
    package let mesh: FeatureLevel
    package let spoken: FeatureLevel
    /// Where it was found.
    package let place: String

    package init(mesh: FeatureLevel, spoken: FeatureLevel, place: String) {
        (self.mesh, self.spoken, self.place) = (mesh, spoken, place)
    }

    package var description: String {
        "this mesh is at feature level \(mesh), as \(place) says, and this program speaks \(spoken): "
            + Self.remedy
    }

    package static let remedy =
        "install the release that the other nodes run, or a later one, and start it on the same data; "
        + "a downgrade is refused (docs/upgrade.md)"
}
