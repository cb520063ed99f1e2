/// Every alarm there is, by the name that programs and operators know it by; docs/on-call.md says
/// of each what to do.
package enum AlarmCode: String, CaseIterable, Hashable, Sendable {
    case noQuorum = "no-quorum"
    case replicaLost = "replica-lost"
    case contradiction
    case logDamaged = "log-damaged"
    case logCut = "log-cut"
    case diskFull = "disk-full"
    case resync
    case noWholeReplica = "no-whole-replica"
    case volumeDamaged = "volume-damaged"
    case replicasDiffer = "replicas-differ"
    case certificateExpires = "certificate-expires"
    case clusterFileDiffers = "cluster-file-differs"
    case notAMember = "not-a-member"
    case membersStand = "members-stand"
    case memberDead = "member-dead"
    case memberLeft = "member-left"
    case memberLags = "member-lags"
    case peerRefused = "peer-refused"
    case volumeWithoutSocket = "volume-without-socket"
    case backupOverdue = "backup-overdue"
    case backupFailing = "backup-failing"
    case logShippingLate = "log-shipping-late"
    case keyNotRotated = "key-not-rotated"
    case locksNotExtended = "locks-not-extended"
    case repositoryDamaged = "repository-damaged"
    case scrubFailing = "scrub-failing"
    case snapshotLost = "snapshot-lost"

    /// Of something that happened once: it stands until an operator clears it. All others end by
    /// themselves, with what they tell of.
    package var standsUntilCleared: Bool { Incident.Kind(code: self) != nil }
}
