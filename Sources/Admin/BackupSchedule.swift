/// How the mesh stands to its schedule of backups. Times are unix seconds.
package struct BackupScheduleReport: Codable, Hashable, Sendable {
    /// Who makes one now.
    package struct Holder: Codable, Hashable, Sendable {
        package var node: UInt64
        package var slot: UInt64
        package var full: Bool

        package init(node: UInt64, slot: UInt64, full: Bool) {
            (self.node, self.slot, self.full) = (node, slot, full)
        }
    }

    package struct Made: Codable, Hashable, Sendable {
        package var number: UInt64
        package var node: UInt64
        package var asOf: UInt64
        package var full: Bool

        package init(number: UInt64, node: UInt64, asOf: UInt64, full: Bool) {
            (self.number, self.node, self.asOf, self.full) = (number, node, asOf, full)
        }
    }

    package struct Failure: Codable, Hashable, Sendable {
        package var node: UInt64
        package var slot: UInt64
        package var at: UInt64
        package var words: String

        package init(node: UInt64, slot: UInt64, at: UInt64, words: String) {
            (self.node, self.slot, self.at, self.words) = (node, slot, at, words)
        }
    }

    /// As in the cluster file.
    package var schedule: String
    package var full: String?
    package var nextSlot: UInt64?
    package var holder: Holder?
    /// The newest that the mesh knows of.
    package var newest: Made?
    /// The last one since a backup was made.
    package var failure: Failure?
    /// So many in a row.
    package var failures: UInt64
    /// Whether the answering node can make one.
    package var hasRepository: Bool
    /// The mesh has to speak this first.
    package var waitsForLevel: UInt64?

    package init(
        schedule: String, full: String?, nextSlot: UInt64?, holder: Holder?, newest: Made?,
        failure: Failure?, failures: UInt64, hasRepository: Bool, waitsForLevel: UInt64? = nil
    ) {
        (self.schedule, self.full, self.nextSlot) = (schedule, full, nextSlot)
        (self.holder, self.newest, self.failure) = (holder, newest, failure)
        (self.failures, self.hasRepository) = (failures, hasRepository)
        self.waitsForLevel = waitsForLevel
    }
}
