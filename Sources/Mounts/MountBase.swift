package import Backup

/// What a mounted volume was before anybody wrote to it. Nobody changes it.
package protocol MountBase: Sendable {
    /// Behind its end there are zeros. Called by several threads at once, and may take its time.
    func read(_ range: Range<UInt64>) throws(BackupFailure) -> [UInt8]
    /// At most so many from the range's beginning on.
    func extents(_ range: Range<UInt64>, countMax: Int) -> [ViewExtent]
}

extension VolumeView: MountBase {}
