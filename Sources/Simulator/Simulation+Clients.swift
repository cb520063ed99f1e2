internal import Mesh
internal import VolumeCore

/// The virtual NBD clients and their way to the exports.
extension Simulation {
    mutating func turnClient(_ at: Int, after interval: Interval) {
        clients[at].turn += 1
        agenda.push(time + interval, .clientTurn(at, number: clients[at].turn))
    }

    /// When the next word of this client reaches a machine: its words keep their order.
    private mutating func askArrival(_ client: Int, _ machine: Int) -> Moment {
        let place = client * machines.count + machine
        let delay = random.interval(in: .microseconds(50)...(.microseconds(200)))
        lastAsk[place] = max(lastAsk[place], time + delay)
        return lastAsk[place]
    }

    mutating func clientTurn(_ at: Int, _ number: UInt64) {
        guard clients[at].turn == number else { return }
        switch clients[at].phase {
        case .seeking: knock(at)
        case .knocking(let connection):
            clients[at].phase = .seeking
            _ = connection
            goOn(at)
        case .connected(let session):
            if clients[at].asked.isEmpty {
                burst(at, session)
            } else {
                tell(nil, "client \(at) waited \(Client.patience) and hangs up")
                hangUp(at)
            }
        }
    }

    private mutating func knock(_ at: Int) {
        clients[at].attempts += 1
        let connection = ConnectionID(client: at, attempt: clients[at].attempts)
        clients[at].phase = .knocking(connection)
        let machine = clients[at].next
        agenda.push(askArrival(at, machine), .knock(machine, connection))
        turnClient(at, after: Client.knockPatience)
    }

    /// Tries the next machine, after a pause once all were tried.
    private mutating func goOn(_ at: Int) {
        let doors = changesMembers ? machines.count : plan.shape.dataMembers
        clients[at].next = (clients[at].next + 1) % doors
        guard clients[at].next == 0 else { return turnClient(at, after: .microseconds(100)) }
        // A knock at a closed door changes nothing: nobody need knock before one opens.
        clients[at].waits = machines.allSatisfy { $0.open(clients[at].name) == nil }
        if !clients[at].waits { turnClient(at, after: Client.roundPause) }
    }

    /// Who waited for it comes within a pause, as if it had knocked all the time.
    mutating func opened(_ name: String) {
        for at in clients.indices where clients[at].waits && clients[at].name == name {
            clients[at].waits = false
            turnClient(at, after: random.interval(in: .zero...Client.roundPause))
        }
    }

    mutating func knocked(_ machine: Int, _ connection: ConnectionID) {
        let open = machines[machine].open(clients[connection.client].name)
        let welcome = open.map {
            Welcome(
                machine: machine, life: machines[machine].life, volume: $0.volume,
                generation: $0.generation, byteCount: $0.byteCount)
        }
        agenda.push(time + .microseconds(150), .welcome(connection, welcome))
    }

    mutating func welcomed(_ connection: ConnectionID, _ welcome: Welcome?) {
        let at = connection.client
        guard case .knocking(connection) = clients[at].phase else { return }
        guard let welcome else {
            clients[at].phase = .seeking
            return goOn(at)
        }
        // What one export said stands: the mesh agreed on it before.
        ledgers[clients[at].disk].grow(to: welcome.byteCount)
        clients[at].phase = .connected(Client.Session(connection: connection, door: welcome))
        clients[at].asked = [:]
        clients[at].wantsFlush = false
        tell(
            nil,
            "client \(at) connects to node \(machines[welcome.machine].id), generation "
                + "\(welcome.generation.epoch).\(welcome.generation.opening)")
        turnClient(at, after: .microseconds(100))
    }

    mutating func hangUp(_ at: Int) {
        guard let session = clients[at].session else { return }
        let machine = session.door.machine
        agenda.push(
            askArrival(at, machine), .hangUp(machine, life: session.door.life, session.connection))
        leave(at)
    }

    mutating func lost(_ connection: ConnectionID) {
        let at = connection.client
        guard at < clients.count, clients[at].session?.connection == connection else { return }
        tell(nil, "client \(at) loses its connection")
        leave(at)
    }

    private mutating func leave(_ at: Int) {
        clients[at].phase = .seeking
        clients[at].asked = [:]
        goOn(at)
    }

    /// A generation ended: the server closes its connections.
    mutating func drop(_ volume: VolumeID, _ at: Int) {
        for client in clients.indices {
            guard let session = clients[client].session, session.door.machine == at,
                session.door.volume == volume
            else { continue }
            agenda.push(time + .microseconds(150), .lost(session.connection))
        }
    }

    mutating func reply(_ id: RequestID, _ answer: VolumeReply, _ at: Int) {
        let delay = random.interval(in: .microseconds(50)...(.microseconds(200)))
        agenda.push(time + delay, .reply(id, answer))
    }

    // MARK: What a client asks

    private mutating func burst(_ at: Int, _ session: Client.Session) {
        if clients[at].wantsFlush {
            clients[at].wantsFlush = false
            if clients[at].random.chance(4, in: 5) { return flush(at, session) }
        }
        let count = 1 + Int(clients[at].random.next() % UInt64(clients[at].burstMax))
        let own = clients[at].own(through: session)
        let first = own.lowerBound + Int(clients[at].random.next() % UInt64(own.count))
        // The same place again, while the first time is on its way into the log.
        let returns = clients[at].random.chance(1, in: 3)
        var block = first
        for number in 0..<count {
            let length = min(1 + Int(clients[at].random.next() % 3), own.upperBound - block)
            write(at, session, block..<block + length, of: own)
            block += length + Int(clients[at].random.next() % 3)
            if returns, number % 2 == 1 { block = first }
            if block >= own.upperBound { break }
        }
        read(at, session, from: returns ? first : nil)
        turnClient(at, after: Client.patience)
    }

    private mutating func write(
        _ at: Int, _ session: Client.Session, _ asked: Range<Int>, of own: Range<Int>
    ) {
        let disk = clients[at].disk
        let kind = clients[at].random.next() % 16
        let cell = asked.lowerBound / Ledger.cellBlockCount * Ledger.cellBlockCount
        // Now and then what fstrim does.
        let isCell =
            kind == 0 && cell >= own.lowerBound && cell + Ledger.cellBlockCount <= own.upperBound
        let blocks = isCell ? cell..<cell + Ledger.cellBlockCount : asked
        let isZero = kind < 2
        let isDurable = clients[at].random.chance(1, in: 8)
        var versions: [(block: Int, version: UInt64)] = []
        var data: [UInt8] = []
        for block in blocks {
            let version = ledgers[disk].issue(block, isZero: isZero)
            versions.append((block, version))
            if !isZero { data += ledgers[disk].content(of: block, version: version) }
        }
        let offset = UInt64(blocks.lowerBound * Ledger.blockByteCount)
        let byteCount = UInt32(blocks.count * Ledger.blockByteCount)
        let request: VolumeRequest =
            switch kind {
            case 0: .trim(offset: offset, byteCount: byteCount, isDurable: isDurable)
            case 1:
                .zeroes(
                    offset: offset, byteCount: byteCount, keepsAllocated: true,
                    isDurable: isDurable)
            default: .write(offset: offset, data, isDurable: isDurable)
            }
        ask(at, session, request, .write(versions, isDurable: isDurable))
    }

    private mutating func flush(_ at: Int, _ session: Client.Session) {
        let covered = ledgers[clients[at].disk].covered(in: session.door.generation)
        ask(at, session, .flush, .flush(covered))
        turnClient(at, after: Client.patience)
    }

    private mutating func read(_ at: Int, _ session: Client.Session, from: Int?) {
        let disk = clients[at].disk
        let total = Int(session.door.byteCount) / Ledger.blockByteCount
        let first = from ?? Int(clients[at].random.next() % UInt64(total))
        let count = min(1 + Int(clients[at].random.next() % 8), total - first)
        let least = (first..<first + count).map {
            ledgers[disk].least($0, in: session.door.generation)
        }
        let request = VolumeRequest.read(
            offset: UInt64(first * Ledger.blockByteCount),
            byteCount: count * Ledger.blockByteCount)
        ask(at, session, request, .read(first: first, least: least))
    }

    private mutating func ask(
        _ at: Int, _ session: Client.Session, _ request: VolumeRequest, _ asked: Client.Asked
    ) {
        clients[at].numbers += 1
        let id = RequestID(session.connection, clients[at].numbers)
        clients[at].asked[id.number] = asked
        let door = session.door
        if plan.isDetailed {
            tell(door.machine, "client \(at) asks \(Self.summary(request)) as \(id.number)")
        }
        agenda.push(
            askArrival(at, door.machine),
            .ask(door.machine, life: door.life, id, door.volume, door.generation, request))
    }

    private static func summary(_ request: VolumeRequest) -> String {
        if case .write(let offset, let data, let isDurable) = request {
            return "write \(offset)+\(data.count)\(isDurable ? " FUA" : "")"
        }
        return "\(request)"
    }

    // MARK: What it is answered

    mutating func replied(_ id: RequestID, _ reply: VolumeReply) {
        let at = id.connection.client
        guard at < clients.count, let session = clients[at].session,
            session.connection == id.connection,
            let asked = clients[at].asked.removeValue(forKey: id.number)
        else { return }
        if case .refused(let refused) = reply {
            if plan.isDetailed { tell(nil, "client \(at) is refused \(id.number): \(refused)") }
            return hangUp(at)
        }
        if plan.isDetailed { tell(nil, "client \(at) is answered \(id.number)") }
        take(asked, reply, at, session)
        guard clients[at].asked.isEmpty else { return }
        if case .flush = asked {
            let pause = clients[at].random.interval(in: clients[at].thinks)
            return turnClient(at, after: pause)
        }
        clients[at].wantsFlush = true
        turnClient(at, after: .microseconds(50))
    }

    private mutating func take(
        _ asked: Client.Asked, _ reply: VolumeReply, _ at: Int, _ session: Client.Session
    ) {
        let disk = clients[at].disk
        let generation = session.door.generation
        switch (asked, reply) {
        case (.write(let versions, let isDurable), .done):
            for (block, version) in versions {
                ledgers[disk].answered(block, version: version, in: generation)
                if isDurable { ledgers[disk].flushed(block, version: version) }
            }
        case (.flush(let covered), .done):
            ledgers[disk].flushed(covered)
            report.flushes += 1
            let machine = session.door.machine
            if !isStormy, machine != fallenForGood, !outcasts.contains(machine) {
                hasRecovered = true
            }
            if let fallen, generation.epoch > fallen.epoch {
                report.outages.append(time.since(fallen.at))
                self.fallen = nil
            }
        case (.read(let first, let least), .data(let bytes)):
            report.reads += 1
            judge(bytes, of: disk, from: first, generation) { _, block in least[block - first] }
        default: check("client \(at) was answered \(reply), which fits no \(asked)")
        }
    }
}
