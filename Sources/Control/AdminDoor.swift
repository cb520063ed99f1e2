package import Admin

/// What an agent or a witness lets its operator ask. The server asks it from any task, several at a
/// time, and waits at most `ControlLimits.answerDeadline`; a cancelled call is one whose answer
/// nobody waits for any more, which undoes nothing.
package protocol AdminDoor: Sendable {
    func status() async throws(AdminRefused) -> StatusReport
    func raft() async throws(AdminRefused) -> RaftReport
    /// Returns once the volume is agreed on; the request's name and size are unchecked.
    func createVolume(_ request: VolumeRequest) async throws(AdminRefused) -> VolumeReport
    /// Returns once that is agreed on; to the size that it has is no change.
    func growVolume(
        named name: String, _ growth: VolumeGrowth
    ) async throws(AdminRefused) -> VolumeReport
    /// What lies there on this node's disk is taken from another member, from now on.
    func distrustVolume(
        named name: String, _ distrust: VolumeDistrust
    ) async throws(AdminRefused) -> VolumeReport
    func deleteVolume(named name: String) async throws(AdminRefused)
    /// Returns once the new primary acts.
    func switchover(to region: String) async throws(AdminRefused) -> SwitchoverReport
    /// Returns once the wish is agreed on; the mesh fulfils it in its own time.
    func changeMembers(_ request: MembersRequest) async throws(AdminRefused) -> MembersChangeReport
    func cancelMembers() async throws(AdminRefused) -> MembersChangeReport
    /// Clears what stands until an operator has seen it, on every node in time.
    func clearAlarm(named code: String) async throws(AdminRefused) -> AlarmClearing
    /// The last backup that this node began, and how far it has come.
    func backup() async throws(AdminRefused) -> BackupJobReport
    /// Returns once it has begun.
    func beginBackup(_ request: BackupRequest) async throws(AdminRefused) -> BackupJobReport
    /// Refused where the node holds none.
    func snapshots() throws(AdminRefused) -> any SnapshotDoor
    func log(_ query: LogQuery) async throws(AdminRefused) -> LogReport
}
