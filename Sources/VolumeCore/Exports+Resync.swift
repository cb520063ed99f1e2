internal import Disk
package import Mesh
internal import Record

/// A manifest is made once and told in parts, so that all of them are of one moment.
struct ServedManifest: Sendable {
    let id: ManifestID
    let bytes: [UInt8]
    let to: NodeID
    var at: Instant
}

struct HeldAsk: Sendable {
    let piece: Piece
    let since: LogIndex
    let from: NodeID
    /// Not the bytes, but their sums.
    let wantsSums: Bool
}

/// Both sides of a resync: what a source answers, and how a replica asks (ADR 5).
extension Exports {
    package var resyncStanding: ResyncStanding? {
        core.resync.map {
            ResyncStanding(
                isCopying: $0.phase == .copying, missingByteCount: core.missingByteCount,
                wholeByteCount: $0.wholeByteCount)
        }
    }

    /// The log here begins behind `index`.
    mutating func fallBehind(
        through index: LogIndex, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        close(&effects)
        behind = max(behind, index)
        (mend, comparison) = (Mend(), Comparison())
        if try core.fallBehind(through: index), core.isAsking {
            pull = Pull()
        }
        tellStanding(&effects)
    }

    private mutating func tellStanding(_ effects: inout [ExportEffect]) {
        let standing = resyncStanding
        if let toldStanding, toldStanding == (standing, behind) { return }
        toldStanding = (standing, behind)
        effects.append(.resync(standing, behind: behind))
    }

    /// Asks `source` for what is missing, as much as there is room and time for.
    mutating func pull(
        from source: NodeID?, at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        guard core.isResyncing else { return }
        self.source = source
        if let source { pull.meet(source, at: now, core.limits.resync) }
        askMore(at: now, &effects)
        tellStanding(&effects)
    }

    mutating func hear(
        _ message: ResyncMessage, from node: NodeID, at now: Instant,
        _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        switch message {
        case .askManifest(let since, let id, let offset):
            if let part = manifestPart(since: since, id, from: offset, to: node, at: now) {
                effects.append(.send(.manifest(part), to: node))
            }
        case .askPiece(let piece, let since):
            try hold(HeldAsk(piece: piece, since: since, from: node, wantsSums: false), &effects)
        case .askSums(let piece, let since):
            try hold(HeldAsk(piece: piece, since: since, from: node, wantsSums: true), &effects)
        case .sums(let piece, let since, let sums):
            try arrived(sums, of: piece, since: since, from: node, at: now, &effects)
        case .manifest(let part): try arrived(part, at: now, &effects)
        case .piece(let piece, let index, let bytes):
            try arrived(piece, asOf: index, bytes, from: node, at: now, &effects)
        }
    }

    // MARK: The source

    /// What all replicas of the largest mesh ask for at once, with room to spare.
    private static var heldMax: Int { 64 }

    private mutating func hold(
        _ ask: HeldAsk, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        held.removeAll {
            $0.from == ask.from && $0.piece == ask.piece && $0.wantsSums == ask.wantsSums
        }
        if ask.wantsSums {
            // Whoever asked them may have given up long ago: the newest question of each counts.
            let own = held.filter { $0.from == ask.from && $0.wantsSums }
            if own.count >= Comparison.outstandingMax, let oldest = own.first {
                held.removeAll {
                    $0.from == oldest.from && $0.piece == oldest.piece && $0.wantsSums
                }
            }
        } else {
            guard held.count(where: { !$0.wantsSums }) < Self.heldMax else { return }
        }
        held.append(ask)
        try answerHeld(&effects)
    }

    /// Whoever serves clients applies later than a replica that has nothing else to do. Each asker's
    /// questions are answered in order, and none waits for another asker's.
    mutating func answerHeld(_ effects: inout [ExportEffect]) throws(DiskError) {
        // What was being written when the last process ended may differ from its sums.
        guard !core.isReplaying else { return }
        let applied = core.applied
        let due = held.filter { $0.since <= applied }
        guard !due.isEmpty else { return }
        held.removeAll { $0.since <= applied }
        for ask in due {
            guard !ask.wantsSums else {
                let sums =
                    core.isUnchanged(ask.piece, since: ask.since)
                    ? try core.sums(of: ask.piece)?.sums.map(\.rawValue) : nil
                effects.append(.send(.sums(ask.piece, since: ask.since, sums), to: ask.from))
                continue
            }
            guard let (bytes, index) = try core.contents(of: ask.piece) else { continue }
            effects.append(.send(.piece(ask.piece, asOf: index, bytes: bytes), to: ask.from))
        }
    }

    private mutating func manifestPart(
        since index: LogIndex, _ id: ManifestID, from offset: UInt64, to node: NodeID,
        at now: Instant
    ) -> ManifestPart? {
        // One after the other: it may be large, and two that replace each other never end.
        if let served, served.to != node, now < served.at + core.limits.resync.manifestKept {
            return nil
        }
        var offset = offset
        if offset == 0 || served?.id != id {
            guard let bytes = core.manifest(since: index) else { return nil }
            let fresh = ManifestID(
                applied: core.applied, checksum: UInt32(bytes.load(at: 0, count: 4)))
            served = ServedManifest(id: fresh, bytes: bytes, to: node, at: now)
            offset = 0
        }
        guard let served, offset < UInt64(served.bytes.count) else { return nil }
        self.served?.at = now
        let start = Int(offset)
        let end = min(start + ResyncMessage.manifestPartByteCountMax, served.bytes.count)
        // Whoever lost the last part gets another one, from the beginning.
        if end == served.bytes.count { self.served = nil }
        return ManifestPart(
            id: served.id, byteCount: UInt64(served.bytes.count), offset: offset,
            bytes: Array(served.bytes[start..<end]))
    }

    // MARK: The replica

    private mutating func arrived(
        _ part: ManifestPart, at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        guard core.isAsking else { return }
        if part.offset == 0 {
            pull.incoming = Pull.Incoming(id: part.id, byteCount: part.byteCount)
        }
        guard var incoming = pull.incoming, incoming.id == part.id,
            incoming.byteCount == part.byteCount, UInt64(incoming.bytes.count) == part.offset
        else { return }
        incoming.bytes += part.bytes
        pull.incoming = incoming
        pull.manifestAskedAt = nil
        guard UInt64(incoming.bytes.count) == incoming.byteCount else {
            return askMore(at: now, &effects)
        }
        pull.incoming = nil
        // One that is too old comes right again once its source has applied more.
        guard try core.adopt(incoming.bytes) else { return pull.manifestAskedAt = now }
        let held = pull.held
        pull = Pull()
        try apply(held, at: now, &effects)
        askMore(at: now, &effects)
        tellStanding(&effects)
    }

    private mutating func arrived(
        _ piece: Piece, asOf index: LogIndex, _ bytes: [UInt8]?, from node: NodeID,
        at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        guard core.isResyncing else {
            mend.wasAnswered(piece, by: node, at: now)
            return try arrivedToMend(piece, asOf: index, bytes, at: now, &effects)
        }
        switch try core.take(piece, bytes, asOf: index) {
        case .unknown: return
        case .stale: pull.backlog.append(piece)
        case .taken: pull.unsavedByteCount += UInt64(piece.range.count)
        }
        pull.came(piece, from: node, at: now, core.limits.resync)
        askMore(at: now, &effects)
    }

    private mutating func askMore(at now: Instant, _ effects: inout [ExportEffect]) {
        guard let source else { return }
        if core.isAsking {
            let limit = core.limits.resync.askTimeout
            guard pull.manifestAskedAt.map({ now >= $0 + limit }) ?? true else { return }
            pull.manifestAskedAt = now
            let known = pull.incoming
            effects.append(
                .send(
                    .askManifest(
                        since: core.checkpointed, id: known?.id ?? .none,
                        offset: UInt64(known?.bytes.count ?? 0)), to: source))
            return
        }
        askPieces(of: source, at: now, &effects)
    }

    private mutating func askPieces(
        of source: NodeID, at now: Instant, _ effects: inout [ExportEffect]
    ) {
        let limits = core.limits.resync
        if pull.unasked == nil {
            pull.unasked = [:]
            for volume in core.volumes { pull.unasked?[volume.id] = volume.record.missing }
        }
        for piece in pull.late(of: source, at: now, limits) {
            core.giveUp(piece)
            pull.backlog.append(piece)
        }
        pull.refill(at: now, limits)
        while pull.hasRoom(limits), let piece = pull.next(limits) {
            let since = core.ask(piece)
            pull.asked(piece, of: source, at: now)
            effects.append(.send(.askPiece(piece, since: since), to: source))
        }
    }

    /// What was copied is made durable now and then, and at the end, which ends the resync.
    mutating func tendResync(_ effects: inout [ExportEffect]) {
        guard !pull.hasAskedCheckpoint,
            pull.isDone && core.isWhole
                || pull.unsavedByteCount >= core.limits.resync.progressByteCount
        else { return }
        pull.hasAskedCheckpoint = true
        effects.append(.wantsCheckpoint)
    }

    mutating func checkpoint(_ effects: inout [ExportEffect]) throws(DiskError) {
        let wasResyncing = core.isResyncing
        let index = try core.checkpoint()
        try core.tidyRoom()
        (pull.unsavedByteCount, pull.hasAskedCheckpoint) = (0, false)
        hasAskedToSave = false
        effects.append(.checkpointed(index))
        guard wasResyncing else { return }
        if !core.isResyncing { pull = Pull() }
        tellStanding(&effects)
    }
}
