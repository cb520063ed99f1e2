internal import Mesh
internal import Record

/// What a replica has asked for, when, and what it asks for next.
struct Pull: Sendable {
    struct Incoming: Sendable {
        let id: ManifestID
        let byteCount: UInt64
        var bytes: [UInt8] = []
    }

    struct Outstanding: Sendable {
        let piece: Piece
        let source: NodeID
        let at: Instant
        let number: UInt64
    }

    /// Whom this may ask. How long one of them is silent tells nothing of another.
    private struct Source: Sendable {
        var namedAt: Instant
        var patience: Patience
        /// It answers in order: what it was asked for before this, and is not here, is lost.
        var newestAnswered: UInt64 = 0
    }

    /// Entries that wait until the manifest says where the volumes stand: at most what the log hands
    /// out at once, since it waits for `.applied`.
    var held: [Ruled] = []
    var incoming: Incoming?
    /// When the manifest was last asked for.
    var manifestAskedAt: Instant?
    /// What was not asked for yet, of each volume; nil before the copying began in this process.
    var unasked: [VolumeID: CellMap]?
    /// To be asked before that: parts of one cell, and what did not come.
    var backlog: [Piece] = []
    private(set) var outstanding: [Outstanding] = []
    private var asks: UInt64 = 0
    private var heardAt: Instant?
    private var sources: [NodeID: Source] = [:]
    private var windowByteCount: Int?
    /// Bytes that may be asked for now; below zero by what the last piece was longer.
    private(set) var allowance = 0
    private var refilledAt: Instant?
    /// Copied since it was last made durable.
    var unsavedByteCount: UInt64 = 0
    var hasAskedCheckpoint = false

    /// Nothing is left to be asked for, as far as this process knows.
    var isDone: Bool { backlog.isEmpty && outstanding.isEmpty && unasked?.isEmpty ?? true }
    var outstandingByteCount: Int { outstanding.reduce(0) { $0 + $1.piece.range.count } }

    mutating func refill(at now: Instant, _ limits: VolumeLimits.Resync) {
        let burst = limits.windowByteCountMax
        guard let before = refilledAt else {
            (refilledAt, allowance) = (now, burst)
            return
        }
        let passed = min(now.since(before), .seconds(1)).nanoseconds
        let more = Int(limits.bytesPerSecondMax / 1_000 * passed / 1_000_000)
        // Too short a time buys nothing, and is not forgotten.
        guard more > 0 else { return }
        (refilledAt, allowance) = (now, min(allowance + more, burst))
    }

    mutating func hasRoom(_ limits: VolumeLimits.Resync) -> Bool {
        allowance > 0
            && outstandingByteCount < windowByteCount ?? limits.pieceByteCountMax
    }

    mutating func asked(_ piece: Piece, of source: NodeID, at now: Instant) {
        asks += 1
        outstanding.append(Outstanding(piece: piece, source: source, at: now, number: asks))
        allowance -= piece.range.count
    }

    /// What a source answered; what it took says how much more may be on its way.
    mutating func came(
        _ piece: Piece, from source: NodeID, at now: Instant, _ limits: VolumeLimits.Resync
    ) {
        guard let place = outstanding.firstIndex(where: { $0.piece == piece }) else { return }
        let answered = outstanding.remove(at: place)
        let took = now.since(answered.at)
        heardAt = now
        if answered.source == source {
            sources[source]?.patience.wasAnswered(after: took)
            sources[source]?.newestAnswered = answered.number
        }
        let size = limits.pieceByteCountMax
        let window = (windowByteCount ?? size) + (took <= limits.answerTimeAim ? size : -size)
        windowByteCount = max(size, min(window, limits.windowByteCountMax))
    }

    /// Notes whom to ask now.
    ///
    /// What was asked of another may still come, so it is not asked for again at once. Who is back from
    /// a shorter absence is no news, or a leader that flaps would put off for ever what was lost, and a
    /// slow link would never be waited for.
    mutating func meet(_ source: NodeID, at now: Instant, _ limits: VolumeLimits.Resync) {
        sources = sources.filter { now < $0.value.namedAt + limits.absence }
        guard sources[source] == nil else { sources[source]?.namedAt = now; return }
        let patience = Patience(limits.askTimeout, most: limits.askTimeoutMax)
        sources[source] = Source(namedAt: now, patience: patience)
        heardAt = now
    }

    private func limit(_ source: NodeID, _ limits: VolumeLimits.Resync) -> Interval {
        sources[source]?.patience.limit ?? limits.askTimeout
    }

    /// Takes out what won't come any more, now that `source` is asked.
    mutating func late(
        of source: NodeID, at now: Instant, _ limits: VolumeLimits.Resync
    ) -> [Piece] {
        guard let first = outstanding.map(\.at).min() else { return [] }
        if now >= max(first, heardAt ?? .zero) + limit(source, limits) {
            defer { outstanding = [] }
            sources[source]?.patience.endedInVain()
            windowByteCount = limits.pieceByteCountMax
            return outstanding.map(\.piece)
        }
        let lost = outstanding.filter { asked in
            asked.number < sources[asked.source]?.newestAnswered ?? 0
                && now >= asked.at + limits.askTimeout
        }
        outstanding.removeAll { asked in lost.contains { $0.number == asked.number } }
        return lost.map(\.piece)
    }

    mutating func forget(_ volume: VolumeID) {
        unasked?[volume] = nil
        backlog.removeAll { $0.volume == volume }
        outstanding.removeAll { $0.piece.volume == volume }
    }

    /// Other cells of the volume are missing than those that were asked for.
    mutating func askAnew(_ volume: VolumeID, _ missing: CellMap?) {
        forget(volume)
        unasked?[volume] = missing?.isEmpty ?? true ? nil : missing
    }

    /// Takes out the next piece to be asked for.
    mutating func next(_ limits: VolumeLimits.Resync) -> Piece? {
        if let piece = backlog.popLast() { return piece }
        let size = UInt64(limits.pieceByteCountMax)
        while let volume = unasked?.keys.min() {
            guard let run = unasked?[volume]?.next(from: 0),
                let cell = unasked?[volume]?.cellByteCount
            else {
                unasked?[volume] = nil
                continue
            }
            let isWhole = cell <= size
            let end = min(run.upperBound, run.lowerBound + (isWhole ? size / cell * cell : cell))
            unasked?[volume]?.remove(run.lowerBound..<end)
            var offset = run.lowerBound
            while offset < end {
                backlog.append(Piece(volume, offset..<min(offset + size, end)))
                offset += size
            }
            return backlog.popLast()
        }
        return nil
    }
}
