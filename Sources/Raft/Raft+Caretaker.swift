internal import Mesh
internal import Planted
internal import Record

/// What a witness does itself (ADR 2, rules 3 to 7), and in part a data member whose volumes lack
/// something (ADR 5).
extension Raft {
    /// An ordinary snapshot message, whose term was found to be this one.
    mutating func baseMoved(_ chunk: Letter.SnapshotChunk, by node: NodeID) {
        let moved = Base(position: chunk.position, contents: chunk.bytes)
        // Rule 4: of two moves the older may arrive later.
        if moved.position.index > log.base.index || isPlanted(.movesBaseBack) {
            guard chunk.offset == 0, chunk.bytes.count == chunk.byteCount,
                Checksum.crc32c(chunk.bytes) == chunk.checksum, let parsed = try? moved.parsed()
            else { return }
            rebase(to: Base(position: moved.position, membership: parsed.membership, state: []))
            matched = max(matched, moved.position.index)
        }
        release(letter(to: node, .appended(through: min(matched, log.lastIndex))))
    }

    /// Rule 5: entries above the base stay if they are of its log.
    private mutating func rebase(to new: Base) {
        let position = new.position
        invariant(
            position.index > commitIndex || log.term(at: position.index) == position.term,
            "what is committed at \(position.index) has one term only")
        guard let membership = try? new.parsed().membership else { return }
        if !log.rebase(to: position, membership: membership) { changedFirst = LogIndex(1) }
        base = new
        change.base = new
        commitIndex = max(commitIndex, position.index)
    }

    /// As many of them as the witness's disk has room for; the rest is not acknowledged.
    func fitting(_ entries: [Entry]) -> [Entry] {
        var room = settings.witnessBytesMax - log.byteCount(above: log.base.index)
        return Array(
            entries.prefix { entry in
                if entry.index > log.lastIndex { room -= entry.bytes.count }
                return room >= 0
            })
    }

    /// A caretaker has no state to give, and its base stands for none.
    func mayGetBase(_ at: Int) -> Bool { !isCaretaker && !progress[at].isWitness }

    /// A caretaker's only end: the first data voter that lacks nothing is told to stand, and if
    /// nothing comes of it, another one. Those who lack what this witness forgot never get there.
    mutating func handOverCare() {
        guard role == .leader, transfer == nil else { return }
        let able = progress.filter {
            membership.isData($0.node) && $0.match == log.lastIndex && $0.isHeir
                && now < $0.heardAt + electionTimeout
        }
        let fresh = able.filter { $0.node != caredFor }
        let next = (fresh.isEmpty ? able : fresh).map(\.node).min {
            (membership.rank($0), $0) < (membership.rank($1), $1)
        }
        guard let next else { return }
        caredFor = next
        beginTransfer(to: next)
    }
}
