/// A damaged log, and how far it is from being whole again.
package struct MendingReport: Codable, Hashable, Sendable {
    /// What one member said of what is missing.
    package struct Asked: Codable, Hashable, Sendable {
        package var node: UInt64
        /// Entries that its log never had, or has others in place of.
        package var lacks: Int
        /// Entries that its base stands for.
        package var compacted: Int
        package init(node: UInt64, lacks: Int, compacted: Int) {
            (self.node, self.lacks, self.compacted) = (node, lacks, compacted)
        }
    }

    /// How many entries are missing still.
    package var missing: Int
    package var first: PositionReport?
    package var last: PositionReport?
    /// The base that is missing.
    package var base: PositionReport?
    /// How often all members were asked.
    package var rounds: Int
    package var asked: [Asked]
    /// Where damage was found, place by place.
    package var places: [String]

    package init(
        missing: Int, first: PositionReport?, last: PositionReport?, base: PositionReport?,
        rounds: Int, asked: [Asked], places: [String]
    ) {
        (self.missing, self.first, self.last) = (missing, first, last)
        (self.base, self.rounds, self.asked) = (base, rounds, asked)
        self.places = places
    }
}
