internal import Decisions
internal import Gossip
internal import Mesh
internal import Raft
internal import Record
internal import Voting
internal import Wire

/// Requests of operators at this node, one after the other.
///
/// Each is a command of this node's session, so that asking again, here or through another leader,
/// applies it once (Raft thesis §6.3).
struct OperationQueue: Sendable {
    struct Pending: Sendable {
        let id: Node.OperationID
        let operation: Node.Operation
        /// Never the same twice at this node, not in another process either: an answer is not to be
        /// taken from an entry that this node asked for before.
        let request: UInt64
        let deadline: Instant
        /// Its place in the session, once it was offered to the log.
        var sequence: UInt64?
        /// A hand-over was begun for it: it gets one try, for each ends the clients' connections.
        var isBegun = false
    }
    var pending: [Pending] = []
    var nextTry = Instant.zero
    /// Requests of this process.
    private var requests: UInt64 = 0

    var deadline: Instant { pending.isEmpty ? .distantFuture : min(nextTry, firstDeadline) }
    private var firstDeadline: Instant {
        var first = Instant.distantFuture
        for operation in pending { first = min(first, operation.deadline) }
        return first
    }

    /// No process of this node has spoken under `incarnation` before.
    mutating func nextRequest(_ incarnation: Incarnation) -> UInt64 {
        requests += 1
        return incarnation.rawValue << 32 | requests & 0xffff_ffff
    }
}

extension Node {
    mutating func accept(_ operation: Operation, _ id: OperationID) {
        guard operations.pending.count < settings.operationsMax else {
            return out.append(.answer(id, .busy(limit: settings.operationsMax)))
        }
        if case .command(let command) = operation, let why = levelRefusal(of: command) {
            return out.append(.answer(id, .declined(why)))
        }
        if operations.pending.isEmpty { operations.nextTry = now }
        operations.pending.append(
            OperationQueue.Pending(
                id: id, operation: operation,
                request: operations.nextRequest(voter.gossip.incarnation),
                deadline: now + settings.operationDeadline))
    }

    mutating func pumpOperations() {
        guard !operations.pending.isEmpty else { return }
        for late in operations.pending where now >= late.deadline {
            out.append(.answer(late.id, .unknown(leader: voter.raft.leader)))
        }
        let now = now
        operations.pending.removeAll { now >= $0.deadline }
        guard now >= operations.nextTry, let head = operations.pending.first else { return }
        operations.nextTry = now + settings.operationRetry
        switch head.operation {
        case .command(let command): offer(command.encoded(request: head.request))
        case .switchOver(let region): offerSwitchOver(to: region)
        }
    }

    private mutating func answerHead(_ answer: Answer) {
        out.append(.answer(operations.pending.removeFirst().id, answer))
        operations.nextTry = now
    }

    private mutating func offer(_ command: [UInt8]) {
        let sequence = decisions.lastSequence(of: SessionID(seat.rawValue)) + 1
        operations.pending[0].sequence = sequence
        if voter.raft.role == .leader {
            offer(command, of: seat, sequence)
        } else if let leader = voter.raft.leader {
            out.append(.note(.propose(sequence: sequence, payload: command), to: leader))
        }
    }

    private mutating func offer(_ payload: [UInt8], of node: NodeID, _ sequence: UInt64) {
        let draft = Draft(
            .command, epoch: .zero, session: SessionID(node.rawValue), sequence: sequence,
            payload: payload)
        guard propose([draft]) == nil, let accepted else { return }
        if case .cancelMembers = try? Command(parsing: payload) {
            members.cancelledAt = accepted.first.index
        }
    }

    /// An entry of this node's session took effect, or was refused.
    mutating func applied(_ outcome: Outcome, of entry: Entry) {
        guard let head = operations.pending.first, case .command(let command) = head.operation,
            head.sequence == entry.sequence
        else { return }
        if case .refused(.duplicate) = outcome { return }
        // What this node asked before, in an earlier process even, may stand under this number, and
        // this node may learn of it only now: then this one goes on with the next.
        guard command.encoded(request: head.request).elementsEqual(entry.payload) else {
            operations.nextTry = now
            return
        }
        answerHead(.done(outcome))
    }

    private mutating func offerSwitchOver(to region: RegionName) {
        guard let primary = decisions.tenure.primary else {
            return answerHead(.declined("there is no primary to hand over"))
        }
        guard primary.region != region else { return answerHead(.primary(primary)) }
        guard settings.members.contains(where: { $0.region == region && !$0.isWitness }) else {
            return answerHead(.declined("region \(region) has no data member"))
        }
        guard primary.node == seat else {
            return out.append(.note(.handOver(region), to: primary.node))
        }
        if case .acting(let acting) = office, acting.handOver != nil { return }
        if case .yielding = office { return }
        guard !operations.pending[0].isBegun else {
            return answerHead(
                .declined("region \(region) did not take over in time; \(primary.region) acts on"))
        }
        if let reason = beginHandOver(to: region) { return answerHead(.declined(reason)) }
        operations.pending[0].isBegun = true
    }

    /// A base stands for an entry of this session, and does not say what became of it. Offered again
    /// under a new number the command might be carried out twice.
    mutating func forgetOffered() {
        guard let sequence = operations.pending.first?.sequence,
            sequence <= decisions.lastSequence(of: SessionID(seat.rawValue))
        else { return }
        answerHead(.unknown(leader: voter.raft.leader))
    }

    mutating func received(_ note: Note, from node: NodeID) {
        guard settings.members.contains(where: { $0.node == node && !$0.isWitness }) else { return }
        switch note {
        case .propose(let sequence, let payload):
            guard voter.raft.role == .leader, payload.count <= Command.byteCountMax,
                let command = try? Command(parsing: payload), command.isAsked(by: node)
            else { return }
            offer(payload, of: node, sequence)
        case .handOver(let region):
            if case .acting(let acting) = office, acting.handOver != nil { return }
            if case .yielding = office { return }
            guard let reason = beginHandOver(to: region) else { return }
            out.append(.note(.declined(region, reason: reason), to: node))
        case .declined(let region, let reason):
            guard case .switchOver(region) = operations.pending.first?.operation else { return }
            answerHead(.declined(reason))
        case .former: isCalledFormer = true
        }
    }
}

extension Command {
    /// What a node may have proposed for its operator, and for its own backups; the primary's seat is no such thing.
    fileprivate func isAsked(by node: NodeID) -> Bool {
        switch self {
        case .createVolume, .deleteVolume, .growVolume, .prefer, .changeMembers, .cancelMembers:
            true
        case .backup(.claimed(_, _, let claimant, _)): claimant == node
        case .backup(.made(let made, _)): made.node == node
        case .backup: true
        case .promote, .relinquish, .raiseLevel: false
        }
    }
}
