internal import Mesh

/// What became of the machines' programs in a run.
package struct Upgrades: Hashable, Sendable {
    /// Machines that were given the newest release.
    package internal(set) var installed = 0
    /// Machines on which somebody started the former release again.
    package internal(set) var takenBack = 0
    /// Processes that found a level which they don't speak, and stopped.
    package internal(set) var turnedAway = 0
    /// Raises of the mesh's level that took effect.
    package internal(set) var raised = 0

    package init() {}

    package mutating func add(_ other: Upgrades) {
        installed += other.installed
        takenBack += other.takenBack
        turnedAway += other.turnedAway
        raised += other.raised
    }
}

/// The mesh's feature level, as the log gives it.
struct LevelModel {
    /// Where the first entry that raised it to each level stands; the first release knew of none.
    private var raises: [(index: LogIndex, level: FeatureLevel)] = []

    var highest: FeatureLevel { raises.last?.level ?? .first }

    /// What a member that has applied everything up to `index` holds.
    func level(at index: LogIndex) -> FeatureLevel {
        raises.last { $0.index <= index }?.level ?? .first
    }

    /// True the first time that anybody applies it.
    mutating func raises(to level: FeatureLevel, at index: LogIndex) -> Bool {
        guard level > highest else { return false }
        raises.append((index, level))
        return true
    }
}
