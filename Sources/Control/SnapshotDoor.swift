package import Admin

/// What a node that has room for snapshots lets its operator ask of them.
package protocol SnapshotDoor: Sendable {
    func list() async throws(AdminRefused) -> SnapshotsReport
    /// Returns once it is held.
    func create(_ request: SnapshotRequest) async throws(AdminRefused) -> SnapshotReport
    /// Of one that ended: takes it off the list.
    func delete(named name: String) async throws(AdminRefused)
    func shape(
        of name: String, volume: String
    ) async throws(AdminRefused) -> SnapshotShapeReport
    func read(_ read: SnapshotRead) async throws(AdminRefused) -> [UInt8]
}
