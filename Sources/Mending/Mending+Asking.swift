internal import Mesh
internal import Record

extension Mending {
    mutating func visitNext(_ now: Instant, _ effects: inout [Effect]) {
        guard !settings.peers.isEmpty else { return deadline = .distantFuture }
        // It may be silent over one entry alone, and have a base that stands for it.
        if rounds > 0, !hasAskedBase, let least = baseNeeded(at: now) {
            return askBase(atLeast: least, now, &effects)
        }
        turn += 1
        if turn >= settings.peers.count {
            turn = 0
            rounds += 1
        }
        (cursor, hasAskedBase) = (.zero, false)
        go(now, &effects)
    }

    /// Asks the present peer for the next of what it may have; all of it asked, the next one's turn
    /// comes when the pause is over.
    mutating func go(_ now: Instant, _ effects: inout [Effect]) {
        deadline = now + settings.askEvery
        let peer = settings.peers[turn]
        guard sources[peer]?.entries.isOpen(at: now) == false else { return }
        let window = window(of: peer, now)
        if let last = window.last {
            cursor = last.index
            sources[peer]?.ask(window, at: now)
            effects.append(.send(.ask(session, window), to: peer))
        } else if let least = baseNeeded(at: now), !hasAskedBase {
            askBase(atLeast: least, now, &effects)
        }
    }

    mutating func askBase(
        atLeast least: LogIndex, _ now: Instant, _ effects: inout [Effect]
    ) {
        (hasAskedBase, deadline) = (true, now + settings.askEvery)
        let peer = settings.peers[turn]
        guard let source = sources[peer], mayGive(peer) else { return }
        // Who has none that reaches as far as it was asked for says nothing, and may have a lower one.
        let isLower = least < source.leastBase ?? least
        guard isLower || !source.base.isOpen(at: now) else { return }
        sources[peer]?.base.asked(at: now)
        sources[peer]?.leastBase = least
        // One that does not reach so far is not gone on with: nobody would answer that.
        let known = arriving.flatMap { $0.base.position.index >= least ? $0 : nil }
        let ask = MendMessage.askBase(
            atLeast: least, of: known?.base ?? .none, offset: UInt64(known?.bytes.count ?? 0))
        effects.append(.send(ask, to: peer))
    }

    /// One base at a time comes, from whoever gives it: another's would begin at its first byte.
    func mayGive(_ peer: NodeID) -> Bool {
        guard let giver = arriving?.giver, giver != peer else { return true }
        return sources[giver]?.base.isInVain ?? true
    }

    /// The next entries that the present peer was not asked for: what another is giving comes last.
    private func window(of peer: NodeID, _ now: Instant) -> [EntryIdentity] {
        let given = settings.peers.filter { $0 != peer }.reduce(into: Set<EntryIdentity>()) {
            $0.formUnion(sources[$1]?.given(at: now) ?? [])
        }
        let window = window(of: peer, without: given)
        return window.isEmpty && cursor == .zero ? self.window(of: peer, without: []) : window
    }

    private func window(
        of peer: NodeID, without given: Set<EntryIdentity>
    ) -> [EntryIdentity] {
        let byteCountMax = min(
            settings.windowByteCountMax, sources[peer]?.windowByteCount ?? 0)
        var window: [EntryIdentity] = []
        var byteCount = 0
        for entry in need.entries where entry.index > cursor && !given.contains(entry) {
            byteCount += Int(entry.byteCount)
            guard window.count < min(settings.windowEntriesMax, MendMessage.entriesMax),
                window.isEmpty || byteCount <= byteCountMax
            else { break }
            window.append(entry)
        }
        return window
    }
}
