internal import Gossip
internal import Mending
internal import Mesh
internal import Node
internal import Raft
internal import Record
internal import VolumeCore
internal import Voting

/// Letters, gossip and notes on their way, through the codecs that ship.
extension Simulation {
    func place(of node: NodeID) -> Int { Int(node.rawValue) - 1 }

    mutating func send(_ letter: Letter, _ at: Int) {
        let letter = plan.mutant == nil ? letter : distorted(letter, at)
        if plan.isDetailed { tell(at, "to \(letter.to): \(summary(letter))") }
        if case .appended(let through) = letter.body {
            machines[at].promised = max(machines[at].promised, through)
        }
        let isFresh = checkPromise(letter, at)
        post(at, letter.to, .letter, letter.encoded)
        if isStormy, isFresh { aim(at) }
    }

    mutating func send(_ note: Note, _ at: Int, _ to: NodeID) {
        if plan.isDetailed { tell(at, "note to \(to)") }
        post(at, to, .note, note.encoded)
        if plan.mutant == .repeatsOperations, case .propose(let sequence, let payload) = note {
            post(at, to, .note, Note.propose(sequence: sequence + 1, payload: payload).encoded)
        }
    }

    private func distorted(_ letter: Letter, _ at: Int) -> Letter {
        var letter = letter
        switch (plan.mutant, letter.body) {
        case (.votesTwice, .voteAnswer(granted: false)):
            letter.body = .voteAnswer(granted: true)
        case (.announcesTooMuch, .heartbeat(var heartbeat)):
            heartbeat.commit = max(heartbeat.commit, heartbeat.previous.index)
            letter.body = .heartbeat(heartbeat)
        case (.announcesTooMuch, .append(let previous, let commit, let entries)):
            let last = entries.last?.index ?? commit
            letter.body = .append(
                previous: previous, commit: max(commit, last), entries: entries)
        default: break
        }
        return letter
    }

    mutating func post(_ from: Int, _ to: NodeID, _ lane: Parcel.Lane, _ bytes: [UInt8]) {
        let to = place(of: to)
        guard to < machines.count, to != from else { return }
        let link = links[from, to]
        if let spell = link.cut { return bite(spell) }
        if let loss = link.loss, random.chance(loss.percent, in: 100) { return bite(loss.spell) }
        var delay = link.delay + random.interval(in: .zero...link.jitter)
        if let slow = link.slow {
            delay = delay + slow.by
            bite(slow.spell)
        }
        let parcel = Parcel(
            from: from, to: to, lane: lane, bytes: bytes, connection: link.connection)
        var arrival = time + delay
        if let reordering = link.reordering {
            arrival = arrival + random.interval(in: .zero...reordering.within)
            if arrival < link.lastArrival { bite(reordering.spell) }
        } else {
            arrival = max(arrival, link.lastArrival)
        }
        links[from, to].lastArrival = max(arrival, link.lastArrival)
        agenda.push(arrival, .arrival(parcel))
        if lane == .letter, weather.faults.contains(.duplication) {
            links.keep(parcel)
        }
        if let twice = link.duplication, random.chance(twice.percent, in: 100) {
            bite(twice.spell)
            // Some come when the sender's term is long over.
            let isLate = random.chance(1, in: 5)
            let later = random.interval(in: .zero...(isLate ? .seconds(4) : .milliseconds(50)))
            agenda.push(arrival + later, .arrival(parcel))
        }
    }

    mutating func arrived(_ parcel: Parcel) {
        let link = links[parcel.from, parcel.to]
        guard parcel.connection == link.connection else {
            if let spell = link.resetBy { bite(spell) }
            return
        }
        guard areGreeting(parcel.from, parcel.to) else { return }
        let from = machines[parcel.from].id
        do {
            switch parcel.lane {
            case .letter:
                let letter = try Letter(parsing: parcel.bytes)
                if plan.isDetailed { tell(parcel.to, "from \(from): \(summary(letter))") }
                machines[parcel.to].heard[parcel.from] = time
                turnRaft(parcel.to, .letter(letter), .raft(.received(letter)))
            case .gossip:
                let message = try GossipCodec.decode(parcel.bytes)
                turnRaft(
                    parcel.to, .gossip(message, from: from), .gossip(.received(message, from: from))
                )
            case .note:
                guard machines[parcel.to].agent != nil else { return }
                turn(parcel.to, .note(try Note(parsing: parcel.bytes), from: from))
            case .resync:
                let message = try ResyncMessage(parsing: parcel.bytes)
                if plan.isDetailed { tell(parcel.to, "from \(from): \(summary(message))") }
                post(.heard(message, from: from), toVolumesOf: parcel.to)
            case .mend: mendHeard(try MendMessage(parsing: parcel.bytes), parcel.to, from)
            }
        } catch {
            check("a message of node \(from) cannot be read: \(error)")
        }
    }

    private func summary(_ message: ResyncMessage) -> String {
        switch message {
        case .askManifest(let since, _, let offset):
            "what changed since \(since)? from \(offset)"
        case .manifest(let part):
            "manifest as of \(part.id.applied), \(part.offset) to "
                + "\(part.offset + UInt64(part.bytes.count)) of \(part.byteCount)"
        case .askPiece(let piece, let since):
            "volume \(piece.volume), \(piece.range), as of \(since) or later?"
        case .piece(let piece, let index, _):
            "volume \(piece.volume), \(piece.range), as of \(index)"
        case .askSums(let piece, let since):
            "volume \(piece.volume), \(piece.range): sums as of \(since)?"
        case .sums(let piece, let since, let sums):
            "volume \(piece.volume), \(piece.range): sums as of \(since): \(sums == nil ? "none" : "here")"
        }
    }

    private func summary(_ letter: Letter) -> String {
        let what: String
        switch letter.body {
        case .append(let previous, let commit, let entries):
            let last = entries.last.map { "...\($0.index)" } ?? ""
            what = "append after \(previous)\(last), commit \(commit)"
        case .heartbeat(let beat):
            what = "heartbeat \(beat.round), previous \(beat.previous), commit \(beat.commit)"
        case .snapshot(let chunk): what = "snapshot at \(chunk.position) from \(chunk.offset)"
        default: what = "\(letter.body)"
        }
        return "term \(letter.term) \(what)"
    }
}
