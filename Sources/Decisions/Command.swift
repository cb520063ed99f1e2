package import Mesh

/// When a client's FLUSH may be answered.
package enum Durability: String, Hashable, Sendable, CaseIterable {
    /// Once the writes before it are committed: RPO = 0.
    case sync
    /// Once the writes before it are on the primary's own disk.
    case async
}

/// A protected disk as the mesh agreed on it.
package struct Volume: Hashable, Sendable {
    package let id: VolumeID
    package let name: String
    package let byteCount: UInt64
    package let durability: Durability

    package init(id: VolumeID, name: String, byteCount: UInt64, durability: Durability) {
        self.id = id
        self.name = name
        self.byteCount = byteCount
        self.durability = durability
    }
}

/// What the mesh can be asked to agree on.
package enum Command: Hashable, Sendable {
    /// Makes `node` the primary of `epoch`, which must be the one after the present.
    case promote(node: NodeID, epoch: Epoch, warrant: Warrant)
    /// Ends the proposer's own lease now: the last entry of its epoch. The proposer stops acting
    /// before it proposes this, and reopens nothing if the proposal is lost.
    case relinquish(epoch: Epoch)
    case createVolume(name: String, byteCount: UInt64, durability: Durability)
    case deleteVolume(VolumeID)
    /// Makes it longer; what is added reads zero. To the size that it has is no change.
    case growVolume(VolumeID, byteCount: UInt64)
    /// The region that takes over first when several could. No failback follows from it.
    case prefer(RegionName)
    /// Wishes this of the members; whoever leads sees to it.
    case changeMembers(MemberChange)
    /// Takes the wish back, while it is not joint.
    case cancelMembers
    /// From here on the mesh speaks the feature level after the present one.
    case raiseLevel(FeatureLevel)
    /// Who makes the backup of the schedule's next slot, and what became of it.
    case backup(BackupNews)

    /// What the mesh must have agreed on before this is proposed. A command of a later release names
    /// its own here.
    package var level: FeatureLevel {
        switch self {
        case .promote, .relinquish, .createVolume, .deleteVolume, .prefer, .changeMembers,
            .cancelMembers:
            .first
        case .raiseLevel(let level): level.previous
        case .backup: .backups
        case .growVolume: .growth
        }
    }
}

/// What an applied entry has done.
package enum Outcome: Hashable, Sendable {
    case promoted(Primary)
    case relinquished(Primary)
    case created(Volume)
    case deleted(Volume)
    /// As it is now.
    case grown(Volume)
    case preferred(RegionName)
    case wished(MemberChange)
    case cancelled(MemberChange)
    /// The wish is fulfilled.
    case membersChanged(MemberChange)
    case levelRaised(FeatureLevel)
    /// As they stand now.
    case backups(BackupDuty)
    /// The primary's lease was renewed; a write record or stream record is accepted with it.
    case renewed(Epoch)
    /// Nothing changes: an entry that asserts a term, or a membership.
    case nothing
    case refused(Refusal)
}

/// Why an entry in the log changes nothing. All nodes refuse the same entries for the same reason.
package enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    case staleEpoch(current: Epoch, offered: Epoch)
    case leaseRenewedSince(measured: LogIndex, latest: LogIndex)
    case noSuchWarrant(Warrant)
    case unknownNode(NodeID)
    case unknownRegion(RegionName)
    case volumeExists(String)
    case volumeUnknown(VolumeID)
    case volumeName(String)
    case volumeByteCount(UInt64)
    case volumeShrinks(name: String, from: UInt64, to: UInt64)
    case tooManyVolumes(limit: Int)
    case tooManySessions(limit: Int)
    case wishPending(MemberChange)
    case noWish
    case wishIsJoint(MemberChange)
    case memberExists(NodeID)
    case memberFormer(NodeID)
    case memberUnknown(NodeID)
    case memberIsPrimary(NodeID)
    case lastDataMember(NodeID)
    case otherRole(NodeID)
    case witnessExists(NodeID)
    case tooManyMembers(limit: Int)
    case tooManyFormers(limit: Int)
    case levelReached(FeatureLevel)
    case levelTooLow(mesh: FeatureLevel, needed: FeatureLevel)
    case backupAhead(WallTime)
    case backupSettled(WallTime)
    case backupClaimed(by: NodeID, renewal: LogIndex)
    case backupClaimOver(LogIndex)
    case backupGivenUp(limit: UInt64)
    case duplicate(session: SessionID, sequence: UInt64)
    case gap(session: SessionID, expected: UInt64, offered: UInt64)

    package var description: String {
        switch self {
        case .staleEpoch(let current, let offered):
            "epoch \(offered) is not the present one, which is \(current)"
        case .leaseRenewedSince(let measured, let latest):
            "the lease was measured from entry \(measured), but entry \(latest) renewed it"
        case .noSuchWarrant(let warrant): "the log holds no ground for \(warrant)"
        case .unknownNode(let node): "node \(node) is no data member of this mesh"
        case .unknownRegion(let region): "region \(region) has no data member in this mesh"
        case .volumeExists(let name): "a volume named \(name) exists"
        case .volumeUnknown(let id): "there is no volume \(id)"
        case .volumeName(let name):
            "volume name \(name.debugDescription) is not 1 to \(Decisions.volumeNameBytesMax) of "
                + "a-z 0-9 . _ -, beginning with a letter or digit"
        case .volumeByteCount(let count):
            "a volume of \(count) bytes is not a multiple of \(Decisions.volumeGrain) between "
                + "\(Decisions.volumeGrain) and \(Decisions.volumeByteCountMax)"
        case .volumeShrinks(let name, let from, let to):
            "volume \(name) has \(from) bytes, and would lose what lies behind byte \(to): "
                + "volumes only grow"
        case .tooManyVolumes(let limit): "there are \(limit) volumes, and no more are allowed"
        case .tooManySessions(let limit): "\(limit) sessions are open, and no more are allowed"
        case .wishPending(let change): "the members are changing already: \(change)"
        case .noWish: "nothing was wished of the members"
        case .wishIsJoint(let change):
            "old and new members decide together already: \(change) will be done"
        case .memberExists(let node): "node \(node) is a member already"
        case .memberFormer(let node):
            "node \(node) was a member once, and an id is never used again; give it a new one"
        case .memberUnknown(let node): "node \(node) is no member of this mesh"
        case .memberIsPrimary(let node):
            "node \(node) is the primary; make another region primary first"
        case .lastDataMember(let node): "node \(node) is the only one that stores the volumes"
        case .otherRole(let node):
            "node \(node) has the other role: a witness replaces a witness, and data a data member"
        case .witnessExists(let node): "node \(node) is the witness; replace it"
        case .tooManyMembers(let limit): "a mesh has at most \(limit) members"
        case .tooManyFormers(let limit):
            "\(limit) nodes were members once, and no more can be remembered"
        case .levelReached(let mesh):
            "the mesh is at feature level \(mesh) already, which never falls"
        case .levelTooLow(let mesh, let needed):
            "the mesh is at feature level \(mesh), and this needs \(needed)"
        case .backupAhead(let time):
            "the log's time has not come to \(time) ns, of which this backup is to be"
        case .backupSettled(let slot): "the backup of \(slot) ns is made, or a later one is begun"
        case .backupClaimed(let node, let renewal):
            "node \(node) makes the backup, and said so last in entry \(renewal)"
        case .backupClaimOver(let claim):
            "the claim to a backup of entry \(claim) has ended, or another one took its place"
        case .backupGivenUp(let limit):
            "this backup was begun \(limit) times: the next one is that of the next slot"
        case .duplicate(let session, let sequence):
            "session \(session) has applied its number \(sequence) before"
        case .gap(let session, let expected, let offered):
            "session \(session) must go on with number \(expected), not \(offered)"
        }
    }
}
