internal import Mesh
internal import Record

extension Mending {
    mutating func received(
        _ message: MendMessage, _ peer: NodeID, _ now: Instant, _ effects: inout [Effect]
    ) {
        guard let place = settings.peers.firstIndex(of: peer) else { return }
        var gave = false
        switch message {
        case .give(let entry):
            gave = true
            given(entry, &effects)
        case .say(session, let answer, let entries): said(answer, entries, peer)
        case .basePiece(let piece): return taken(piece, from: place, now, &effects)
        case .ask, .askBase, .say: return
        }
        let missing = Set(need.entries.filter { answers[peer]?[$0.index] == nil })
        guard sources[peer]?.answered(but: missing, gave: gave, at: now, settings) == true
        else { return }
        if sources[peer]?.asked.isEmpty == true, place == turn { go(now, &effects) }
    }

    private mutating func given(_ entry: Entry, _ effects: inout [Effect]) {
        guard let at = need.entries.firstIndex(of: entry.identity) else { return }
        need.entries.remove(at: at)
        for peer in answers.keys { answers[peer]?[entry.index] = nil }
        effects.append(.restore(entry))
    }

    private mutating func said(
        _ answer: MendMessage.Answer, _ entries: [EntryIdentity], _ peer: NodeID
    ) {
        for entry in entries where need.entries.contains(entry) {
            answers[peer, default: [:]][entry.index] = answer
        }
    }

    /// Who gives a base has the turn from one piece to the next, whenever a piece comes.
    private mutating func taken(
        _ piece: BasePiece, from place: Int, _ now: Instant, _ effects: inout [Effect]
    ) {
        let peer = settings.peers[place]
        guard let least = sources[peer]?.leastBase else { return }
        // The same once more: the next may stand behind it.
        guard append(piece, from: peer) else { sources[peer]?.base.heard(at: now); return }
        sources[peer]?.base.answered(at: now, isOver: true)
        turn = place
        guard let all = arriving, all.bytes.count >= Int(all.base.byteCount) else {
            return askBase(atLeast: least, now, &effects)
        }
        arriving = nil
        let base = Base(position: all.base.position, contents: all.bytes)
        guard BaseIdentity(base) == all.base else { return }
        finish(base, &effects)
        go(now, &effects)
    }

    /// False where the piece is of no use.
    private mutating func append(_ piece: BasePiece, from peer: NodeID) -> Bool {
        if arriving?.base != piece.base {
            guard piece.offset == 0, mayGive(peer), isOfUse(piece.base) else { return false }
            arriving = Arriving(base: piece.base, giver: peer)
        }
        guard let count = arriving?.bytes.count, piece.offset == UInt64(count),
            !piece.bytes.isEmpty || piece.base.byteCount == 0
        else { return false }
        arriving?.giver = peer
        arriving?.bytes += piece.bytes
        return true
    }

    /// Whether it would bring this mend on.
    private func isOfUse(_ base: BaseIdentity) -> Bool {
        let isHigher = base.position.index > need.basePosition.index
        guard base == need.base || isHigher && hasWholePeer else { return false }
        return need.base != nil
            || need.entries.contains { entry in
                entry.index <= base.position.index
                    && answers.values.contains { $0[entry.index] != nil }
            }
    }

    private mutating func finish(_ base: Base, _ effects: inout [Effect]) {
        if BaseIdentity(base) == need.base {
            need.base = nil
            effects.append(.restoreBase(base))
        } else if isOfUse(BaseIdentity(base)) {
            taken = base
            need.base = nil
            need.entries.removeAll { $0.index <= base.position.index }
        }
    }
}
