internal import Disk
internal import Mesh
internal import Planted

/// A read of a damaged block, which waits for a peer's bytes.
struct AfflictedRead: Sendable {
    let id: RequestID
    let volume: VolumeID
    let generation: ExportGeneration
    let offset: UInt64
    let byteCount: Int
    let until: Instant
}

/// Blocks that are damaged here are taken from peers, piece by piece (ADR 8).
extension Exports {
    /// Answers a read, or lets it wait for the blocks that are damaged.
    mutating func serve(
        _ read: AfflictedRead, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        let reply = try reply(to: read)
        let hasRoom = afflicted.count < VolumeLimits.requestsWaitingMax
        if case .refused(.damaged) = reply, hasRoom { return afflicted.append(read) }
        effects.append(.reply(read.id, reply))
    }

    private mutating func reply(to read: AfflictedRead) throws(DiskError) -> VolumeReply {
        let found = try core.read(
            read.volume, at: read.offset, count: read.byteCount, generation: read.generation)
        switch found {
        case .success(let bytes): return .data(bytes)
        case .failure(let refused): return .refused(refused)
        }
    }

    /// Reads once more what waits, and refuses what has waited for too long.
    private mutating func serveAfflicted(
        at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        guard !afflicted.isEmpty else { return }
        var waiting: [AfflictedRead] = []
        swap(&waiting, &afflicted)
        for read in waiting {
            if now >= read.until {
                effects.append(.reply(read.id, .refused(.damaged)))
            } else if isLeased(at: now) {
                try serve(read, &effects)
            } else {
                afflicted.append(read)
            }
        }
    }

    /// Behind every event: tells of new damage, and goes on where something was mended.
    mutating func tendDamage(
        _ upkeep: Upkeep, at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        if upkeep.wantsSaving, !hasAskedToSave {
            hasAskedToSave = true
            effects.append(.wantsCheckpoint)
        }
        // Until then the last process may have been writing them.
        guard !upkeep.isReplaying else { return }
        if upkeep.hasNewDamage { core.hasNewDamage = false }
        if upkeep.distrustedBlockCount != toldDistrust {
            toldDistrust = upkeep.distrustedBlockCount
            effects.append(.distrust(blocks: toldDistrust))
        }
        guard upkeep.damagedBlockCount != toldDamage else { return }
        toldDamage = upkeep.damagedBlockCount
        effects.append(.damage(blocks: toldDamage))
        try serveAfflicted(at: now, &effects)
    }

    /// Asks `source` for what is damaged here.
    mutating func mend(
        from source: NodeID?, at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        guard !core.isResyncing, !core.isReplaying else { return }
        for piece in mend.late(at: now) { core.giveUp(piece) }
        mend.meet(source, at: now)
        if let source, toldDamage + toldDistrust > 0 {
            for piece in mend.next(core.wantedPieces, of: source, at: now) {
                let since = core.ask(piece)
                effects.append(.send(.askPiece(piece, since: since), to: source))
            }
        }
        try serveAfflicted(at: now, &effects)
    }

    mutating func arrivedToMend(
        _ piece: Piece, asOf index: LogIndex, _ bytes: [UInt8]?, at now: Instant,
        _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        guard mend.outstanding.contains(where: { $0.piece == piece }) else { return }
        // What the log has yet to bring here would be ahead of all else.
        guard index <= core.applied else {
            mend.early.removeAll { $0.piece == piece }
            return mend.early.append(Mend.Early(piece: piece, index: index, bytes: bytes))
        }
        switch try core.take(piece, bytes, asOf: index) {
        case .unknown: return
        case .stale, .taken: mend.settle(piece)
        }
        try serveAfflicted(at: now, &effects)
    }

    /// The log has come as far as what a source gave.
    mutating func takeEarly(
        at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        for early in mend.early where early.index <= core.applied {
            try arrivedToMend(
                early.piece, asOf: early.index, early.bytes, at: now, &effects)
        }
    }
}
