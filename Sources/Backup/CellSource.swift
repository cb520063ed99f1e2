package import Repository

/// A volume as it was at one place in the log.
package protocol CellSource: Sendable {
    var shape: VolumeShape { get }
    /// Cells that may hold anything, in their order; all others are holes.
    var allocated: [Range<UInt64>] { get }
    /// The bytes of those cells; behind the volume's end they are zeros.
    func read(_ cells: Range<UInt64>) throws(BackupFailure) -> [UInt8]
    /// Several of them, for whoever can have them at once with less effort.
    func read(_ runs: [Range<UInt64>]) throws(BackupFailure) -> [[UInt8]]
}

extension CellSource {
    package func read(_ runs: [Range<UInt64>]) throws(BackupFailure) -> [[UInt8]] {
        try runs.map { run throws(BackupFailure) in try read(run) }
    }
}

/// Where a volume's bytes go.
package protocol CellTarget: Sendable {
    /// Called by several threads at once, for each place at most once. What is never written reads as zeros.
    func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure)
}

/// A target that may hold some of what is to come already: a restore that ended early left it there. Nothing is believed of it.
package protocol HeldTarget: CellTarget {
    /// Where it may hold anything but zeros, in order.
    func held() throws(BackupFailure) -> [Range<UInt64>]
    func read(_ range: Range<UInt64>) throws(BackupFailure) -> [UInt8]
    func zero(_ range: Range<UInt64>) throws(BackupFailure)
}
