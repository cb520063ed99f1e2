package import Decisions
package import Gossip
package import Mesh
package import Raft
package import Record
package import VolumeCore

extension Node {
    package struct Member: Hashable, Sendable {
        package let node: NodeID
        package let region: RegionName
        package let isWitness: Bool
        package init(node: NodeID, region: RegionName, isWitness: Bool) {
            self.node = node
            self.region = region
            self.isWitness = isWitness
        }
    }

    package struct Settings: Hashable, Sendable {
        package let seat: NodeID
        package internal(set) var members: [Member]
        /// Data members in the order in which they should be primary.
        package internal(set) var order: [NodeID]
        package let lease: LeaseTerms
        /// At the very first start the preferred node gets this long to show up.
        package var firstPrimaryPatience = Interval.seconds(3)
        /// A leader that is not the primary lets a living primary catch up for so long.
        package var returnPatience = Interval.seconds(2)
        /// A hand-over that has not drained by then ends the clients' connections.
        package var drainMax = Interval.seconds(5)
        /// An operation that is not applied by then is answered as unknown.
        package var operationDeadline = Interval.seconds(10)
        package var operationRetry = Interval.milliseconds(250)
        package var operationsMax = 64
        /// How often a leader looks whether the next step of a change of the members can be taken.
        package var membersRetry = Interval.milliseconds(250)
        /// And once the new voters did not acknowledge in time what was written before.
        package var membersPause = Interval.seconds(5)
        /// What this program speaks.
        package var speaks = FeatureLevel.spoken
        /// How often a leader looks whether the mesh's feature level can rise.
        package var levelRetry = Interval.seconds(1)
        /// A member's word of what it speaks counts for so long: it may be stopped, and another release
        /// be started.
        package var levelFreshness = Interval.seconds(5)
        /// The volumes are made durable outside the log after so much of it.
        package var checkpointBytes = 64 << 20
        package var checkpointEntries = 16_384
        /// Bytes of the log that are kept behind a checkpoint for whoever reads it on: the log's shipping, by whichever member
        /// that will be.
        package var logTailBytes = 0
        package var publishEvery = Interval.seconds(1)
        /// How often volumes that lack something may ask for more of it, whatever comes.
        package var pullEvery = Interval.milliseconds(50)
        /// One proposal carries at most so many bytes of queued writes.
        package var proposalBytesMax = 512 << 10
        /// Well below what the log's queue holds (`JournalThread.waitingChangesMax`).
        package var writesUnderWayMax = 256

        package init(seat: NodeID, members: [Member], order: [NodeID], lease: LeaseTerms) {
            self.seat = seat
            self.members = members
            self.order = order
            self.lease = lease
        }

        /// As it is wished for.
        func names(_ newcomer: Newcomer) -> Bool {
            members.contains(
                Member(
                    node: newcomer.node, region: newcomer.region, isWitness: newcomer.isWitness))
        }

        func region(of node: NodeID) -> RegionName? {
            members.first { $0.node == node }?.region
        }
    }

    /// One request of an operator, named by whoever asks.
    package struct OperationID: Hashable, Sendable {
        package let rawValue: UInt64
        package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    }

    package enum Operation: Hashable, Sendable {
        case command(Command)
        case switchOver(RegionName)
    }

    package enum Answer: Hashable, Sendable {
        case done(Outcome)
        /// Named primary, by this operation or already.
        case primary(Primary)
        /// Not applied within the deadline; it may still be.
        case unknown(leader: NodeID?)
        case declined(String)
        /// Too many wait already.
        case busy(limit: Int)
    }

    package enum Event: Sendable {
        case wake
        /// From the peer that the link authenticated.
        case letter(Letter)
        case gossip(Gossip.Message, from: NodeID)
        case note(Note, from: NodeID)
        /// All log writes up to this number are durable.
        case saved(through: UInt64)
        case storageFailed
        case fetched(Fetch, [Entry])
        /// The exports have taken all entries up to here.
        case applied(through: LogIndex)
        /// The volumes are durable outside the log up to here.
        case checkpointed(LogIndex)
        /// Writes that clients were answered, in order.
        case write([Draft], ProposalRound, answeredAt: Instant = .distantFuture)
        case operate(OperationID, Operation)
        /// What the volumes lack now, knowing that the log begins behind an index; nil once they are a
        /// whole replica.
        case resync(ResyncStanding?, behind: LogIndex)
        /// So many blocks of the volumes here are damaged.
        case damage(blocks: Int)
        /// So many of them are distrusted, and asked for like those.
        case distrust(blocks: Int)
        /// The exports have finished what they had taken.
        case drained
        case incarnationPersisted(Incarnation)
        /// The wall clock's reading, and when it was read by the node's own clock: its time runs on from there, however long this
        /// waits to be heard.
        case wallClock(WallTime, readAt: Instant)
        /// Whether the log's disk has room beyond its reserve.
        case disk(hasRoom: Bool)
        /// What this node's reports in the gossip carry from now on, for other nodes' operators.
        case announce([UInt8])
        /// A backup is to begin here: it wants to know what changed above an index.
        case cut(CutTicket, since: LogIndex?)
        /// Who is reached now, and the order in which they should be primary.
        case roster([Member], order: [NodeID])
        case leave
    }

    package enum Effect: Sendable {
        case save(Write)
        case send(Letter)
        case fetch(Fetch)
        case gossip(Gossip.Message, to: NodeID)
        case persist(Gossip.Persist)
        case note(Note, to: NodeID)
        case apply([Ruled])
        /// Behind all that was handed to the volumes before: they begin a cut here.
        case cut(CutOrder)
        case checkpoint
        /// The log begins behind this index: what the volumes lack of it they have to take elsewhere.
        case behind(LogIndex)
        /// The volumes may ask this node for what they lack.
        case pull(from: NodeID?)
        /// The oldest writes handed in and not placed yet stand in the log from here on.
        case placed(first: LogIndex, count: Int, ProposalRound)
        /// The own log is durable up to here; said while a volume waits for no more than that.
        case durable(through: LogIndex)
        /// This node acts as primary while its clock is before `until`.
        case open(Epoch, until: Instant)
        case lease(until: Instant)
        case drain
        case close
        case answer(OperationID, Answer)
        /// Going on would lose data: the process stops and says why.
        case halt(Halt)
        /// Apart, for the largest are these, and every effect takes as much room as one could.
        indirect case happened(Happening)
    }

    package enum Halt: Hashable, Sendable {
        /// What the leader says was decided up to here can't be read.
        case unreadableBase(LogIndex)
        /// An entry that this release does not know.
        case unknownCommand(LogIndex)
        /// The mesh speaks more than this release.
        case levelAhead(LevelAhead)
    }

    /// For logs and counters.
    package enum Happening: Hashable, Sendable {
        case raft(RaftRole, Term, leader: NodeID?)
        case steppedDown(SteppedDown)
        case replicaLost(NodeID, acknowledged: LogIndex)
        /// The log is no longer kept for this member.
        case leftBehind(NodeID, through: LogIndex)
        /// The volumes here lack what the log no longer holds, or lack nothing any more.
        case resync(isWhole: Bool)
        case contradicted(Contradiction)
        case membershipRefused(MembershipRefusal)
        case membershipChanged(Membership, at: LogIndex)
        case liveness(NodeID, Gossip.Liveness)
        case restarted(NodeID)
        case conflict(NodeID)
        /// Told once of each at the most, and never of one that stood in the log when this process began.
        case takeover(Takeover)
        case refused(LogIndex, Refusal)
        case wished(MemberChange)
        case wishCancelled(MemberChange)
        case membersChanged(MemberChange)
        /// The mesh speaks this from here on, and refuses who does not.
        case levelRaised(FeatureLevel)
        case handBack(to: NodeID)
        case handOver(to: NodeID)
        case resigned(Epoch)
    }
}
