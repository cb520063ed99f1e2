internal import Decisions
internal import Mesh
internal import Node

/// Those who create volumes, switch over, and ask again where they got no answer.
struct Operators {
    struct Request {
        let id: Node.OperationID
        let operation: Node.Operation
    }
    static let sparesMax = 3
    static let sparePrefix = "spare-"
    /// Names that are taken and freed again and again, by whoever is asked.
    static let sharedNames = ["shared-1", "shared-2"]

    private var numbers: UInt64 = 0
    private var extras: UInt64 = 0
    /// Disks that clients use, not created yet as far as is known.
    var missing: [String] = []
    /// Volumes that come and go.
    private(set) var spare: [VolumeID] = []
    private var pending: [Node.OperationID: (operation: Node.Operation, began: Moment)] = [:]
    /// Volumes that may get longer: how long they are, as far as answers told, and may be.
    private var lengths: [VolumeID: (length: UInt64, most: UInt64)] = [:]
    /// By shared name, what was asked and answered.
    private var histories: [String: [History<NamedVolume, Moment>.Call]] = [:]
    /// Volumes with a shared name, as far as answers told of them.
    private var shared: [VolumeID: String] = [:]
    private var random: SeededRandom

    init(_ chance: inout SeededRandom) { random = chance.fork() }

    /// The next request, if one is due.
    mutating func next(_ ledgers: [Ledger], isStormy: Bool, at time: Moment) -> Request? {
        if let name = missing.first {
            let disk = Int(name.split(separator: "-").last.map(String.init) ?? "") ?? 0
            return ask(
                .command(
                    .createVolume(
                        name: name, byteCount: ledgers[disk].byteCount, durability: .sync)), time)
        }
        guard isStormy else { return nil }
        switch random.next() % 9 {
        case 0:
            let place = Int(random.next() % UInt64(Simulation.regions.count))
            return ask(.switchOver(Simulation.regions[place]), time)
        case 1:
            guard let volume = spare.popLast() else { return nil }
            return ask(.command(.deleteVolume(volume)), time)
        case 2...3 where spare.count < Self.sparesMax:
            extras += 1
            return ask(create(Self.sparePrefix + "\(extras)"), time)
        case 4, 5:
            let place = Int(random.next() % UInt64(Self.sharedNames.count))
            return ask(create(Self.sharedNames[place]), time)
        case 6, 7:
            // Mostly one that should be there, sometimes one that was.
            let known = shared.keys.sorted()
            guard let last = known.last else { return nil }
            let isLast = random.chance(3, in: 4)
            let volume = isLast ? last : known[Int(random.next() % UInt64(known.count))]
            return ask(.command(.deleteVolume(volume)), time)
        case 8: return growth().map { ask(.command($0), time) }
        default: return nil
        }
    }

    /// By a block, by less than a cell, and by more than one.
    private static let growths: [UInt64] = [4_096, 8_192, 60 << 10, 68 << 10]
    /// A replica that copies has to have come to an end of it before the run's.
    private static let diskGrowthMax: UInt64 = 68 << 10
    private static let spareGrowthMax: UInt64 = 8 << 10

    private mutating func growth() -> Command? {
        let known = lengths.keys.sorted()
        guard !known.isEmpty else { return nil }
        let volume = known[Int(random.next() % UInt64(known.count))]
        let more = Self.growths[Int(random.next() % UInt64(Self.growths.count))]
        guard let known = lengths[volume], known.length + more <= known.most else { return nil }
        return .growVolume(volume, byteCount: known.length + more)
    }

    private func create(_ name: String) -> Node.Operation {
        .command(.createVolume(name: name, byteCount: 8_192, durability: .async))
    }

    private mutating func ask(_ operation: Node.Operation, _ time: Moment) -> Request {
        numbers += 1
        let id = Node.OperationID(numbers)
        pending[id] = (operation, time)
        return Request(id: id, operation: operation)
    }

    mutating func answered(_ id: Node.OperationID, _ answer: Node.Answer, at time: Moment) {
        guard let (operation, began) = pending.removeValue(forKey: id) else { return }
        guard case .command(let command) = operation else { return }
        switch (command, answer) {
        case (.createVolume(let name, _, _), .done(.created(let volume))):
            missing.removeAll { $0 == name }
            let isSpare = name.hasPrefix(Self.sparePrefix)
            if isSpare { spare.append(volume.id) }
            if !Self.sharedNames.contains(name) {
                let most = isSpare ? Self.spareGrowthMax : Self.diskGrowthMax
                lengths[volume.id] = (volume.byteCount, volume.byteCount + most)
            }
            if Self.sharedNames.contains(name) { shared[volume.id] = name }
            note(.create(volume.id), name, began, time)
        case (.createVolume(let name, _, _), .done(.refused(.volumeExists))):
            missing.removeAll { $0 == name }
            note(.createRefused, name, began, time)
        case (.createVolume(let name, _, _), .unknown): note(.create(nil), name, began, nil)
        case (.growVolume(let id, _), .done(.grown(let volume))):
            let known = lengths[id]?.length ?? 0
            lengths[id]?.length = max(known, volume.byteCount)
        case (.deleteVolume(let id), .done(.deleted)):
            lengths[id] = nil
            note(.delete(id), shared[id], began, time)
        case (.deleteVolume(let id), .done(.refused)):
            note(.deleteRefused(id), shared[id], began, time)
        case (.deleteVolume(let id), .unknown):
            note(.deleteUnanswered(id), shared[id], began, nil)
        default: break
        }
    }

    private mutating func note(
        _ operation: NamedVolume.Operation, _ name: String?, _ began: Moment, _ ended: Moment?
    ) {
        guard let name, Self.sharedNames.contains(name) else { return }
        histories[name, default: []].append(.init(operation, began: began, ended: ended))
    }

    /// What was asked of the shared names is linearizable; whoever was not answered yet may have
    /// been heard.
    mutating func judge() -> String? {
        for (operation, began) in pending.values {
            switch operation {
            case .command(.createVolume(let name, _, _)): note(.create(nil), name, began, nil)
            case .command(.deleteVolume(let id)):
                note(.deleteUnanswered(id), shared[id], began, nil)
            default: break
            }
        }
        pending = [:]
        for name in Self.sharedNames {
            let calls = histories[name] ?? []
            guard case .broken(let at) = History<NamedVolume, Moment>.judge(calls) else { continue }
            let call = calls[at]
            return "linearizability: of volume \(name), \(call.operation) asked at \(call.began) "
                + "fits no order of the \(calls.count) operations on it"
        }
        return nil
    }
}

extension Simulation {
    private func summary(_ operation: Node.Operation) -> String {
        switch operation {
        case .command(.createVolume(let name, _, _)): "create volume \(name)"
        case .command(.deleteVolume(let id)): "delete volume \(id)"
        case .command(.growVolume(let id, let count)): "grow volume \(id) to \(count) bytes"
        case .command: "another command"
        case .switchOver(let region): "switch over to \(region)"
        }
    }

    /// One request now and then, at any machine that runs.
    mutating func operate() {
        let isUrgent = !operators.missing.isEmpty
        agenda.push(time + .milliseconds(300) * (isUrgent ? 1 : 2), .operators)
        if changesMembers { askRecruits() }
        if plan.claimsBackups { rival() }
        guard let request = operators.next(ledgers, isStormy: isStormy, at: time) else { return }
        let running = machines.indices.filter {
            machines[$0].power == .up && machines[$0].agent != nil
        }
        guard !running.isEmpty else { return }
        let at = running[Int(random.next() % UInt64(running.count))]
        tell(at, "is asked: \(summary(request.operation))")
        turn(at, .operate(request.id, request.operation))
    }
}
