/// Bounds of memory and size; `VolumeCore` answers "wait" or folds rather than pass them.
package struct VolumeLimits: Hashable, Sendable {
    /// As many as the decisions allow.
    package static let volumeCountMax = 1_024
    package static let volumeByteCountMax: UInt64 = 1 << 43
    package static let nameByteCountMax = 255
    /// One request of a client, before it is split into records.
    package static let requestByteCountMax = 32 << 20
    /// Requests that wait for a commit or for the lease, over all volumes.
    package static let requestsWaitingMax = 8_192
    /// What one `.fold` moves: a request that comes meanwhile waits no longer than this takes.
    package static let foldSliceByteCount = 1 << 20
    /// What one read of a volume may return.
    package static let readByteCountMax = 32 << 20

    /// Writes answered and not committed, over all volumes.
    package var pendingByteCountMax: Int
    /// Committed and not folded, over all volumes: above it an apply folds before it returns.
    package var overlayByteCountMax: Int

    package init(pendingByteCountMax: Int = 64 << 20, overlayByteCountMax: Int = 64 << 20) {
        self.pendingByteCountMax = pendingByteCountMax
        self.overlayByteCountMax = overlayByteCountMax
    }
}
