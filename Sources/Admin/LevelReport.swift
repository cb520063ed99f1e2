/// The mesh's feature level, as far as the answering node has applied the log; a witness, as far as it
/// was told.
package struct LevelReport: Codable, Hashable, Sendable {
    /// Who does not speak the next level yet, or was not heard to.
    package struct Laggard: Codable, Hashable, Sendable {
        package var node: UInt64
        package var region: String
        /// nil where nothing is heard of it.
        package var speaks: UInt64?
        package init(node: UInt64, region: String, speaks: UInt64?) {
            (self.node, self.region, self.speaks) = (node, region, speaks)
        }
    }

    package var mesh: UInt64
    /// The highest that any member speaks.
    package var highest: UInt64
    /// Empty unless the mesh could speak more.
    package var heldBackBy: [Laggard]

    /// Members that say nothing of it, though they are heard, run the first release.
    package init(mesh: UInt64, members: [MemberReport]) {
        self.mesh = mesh
        let counting = members.filter(\.counts)
        let highest = max(counting.compactMap(\.speaks).max() ?? mesh, mesh)
        self.highest = highest
        heldBackBy =
            highest <= mesh
            ? []
            : counting.filter { Self.heard($0) ?? 0 <= mesh }.map {
                Laggard(node: $0.node, region: $0.region, speaks: Self.heard($0))
            }
    }

    /// What one of the dead once spoke tells nothing of what it will come back with.
    private static func heard(_ member: MemberReport) -> UInt64? {
        member.isSelf || member.liveness == .alive || member.liveness == .suspect
            ? member.speaks : nil
    }

    /// One line for people; nil where all speak what the mesh does.
    package var words: String? {
        guard highest > mesh else { return nil }
        let laggards = heldBackBy.map { laggard in
            "\(laggard.region) (node \(laggard.node)) "
                + (laggard.speaks.map { "speaks \($0)" } ?? "is not heard")
        }
        return "feature level \(mesh), and \(highest) once all speak it: "
            + (laggards.isEmpty
                ? "it rises once no change of the members is under way"
                : laggards.joined(separator: ", "))
    }
}
