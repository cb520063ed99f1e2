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

    private var numbers: UInt64 = 0
    private var extras: UInt64 = 0
    /// Disks that clients use, not created yet as far as is known.
    var missing: [String] = []
    /// Volumes that come and go.
    private(set) var spare: [VolumeID] = []
    private var pending: [Node.OperationID: Node.Operation] = [:]
    private(set) var answers: [String: Int] = [:]
    private var random: SeededRandom

    init(_ chance: inout SeededRandom) { random = chance.fork() }

    /// The next request, if one is due.
    mutating func next(_ ledgers: [Ledger], isStormy: Bool) -> Request? {
        if let name = missing.first {
            let disk = Int(name.split(separator: "-").last.map(String.init) ?? "") ?? 0
            return ask(
                .command(
                    .createVolume(
                        name: name, byteCount: ledgers[disk].byteCount, durability: .sync)))
        }
        guard isStormy else { return nil }
        switch random.next() % 8 {
        case 0:
            let place = Int(random.next() % UInt64(Simulation.regions.count))
            return ask(.switchOver(Simulation.regions[place]))
        case 1:
            guard let volume = spare.popLast() else { return nil }
            return ask(.command(.deleteVolume(volume)))
        case 2...5 where spare.count < Self.sparesMax:
            extras += 1
            return ask(
                .command(
                    .createVolume(
                        name: Self.sparePrefix + "\(extras)", byteCount: 8_192, durability: .async))
            )
        default: return nil
        }
    }

    private mutating func ask(_ operation: Node.Operation) -> Request {
        numbers += 1
        let id = Node.OperationID(numbers)
        pending[id] = operation
        return Request(id: id, operation: operation)
    }

    mutating func answered(_ id: Node.OperationID, _ answer: Node.Answer, _ watch: inout Watch) {
        guard let operation = pending.removeValue(forKey: id) else { return }
        switch (operation, answer) {
        case (.command(.createVolume(let name, _, _)), .done(.created(let volume))):
            missing.removeAll { $0 == name }
            if name.hasPrefix(Self.sparePrefix) { spare.append(volume.id) }
        case (.command(.createVolume(let name, _, _)), .done(.refused(.volumeExists))):
            missing.removeAll { $0 == name }
        default: break
        }
    }
}

extension Simulation {
    /// One request now and then, at any machine that runs.
    mutating func operate() {
        let isUrgent = !operators.missing.isEmpty
        agenda.push(time + .milliseconds(isUrgent ? 300 : 1_000), .operators)
        guard let request = operators.next(ledgers, isStormy: isStormy) else { return }
        let running = machines.indices.filter {
            machines[$0].power == .up && machines[$0].agent != nil
        }
        guard !running.isEmpty else { return }
        let at = running[Int(random.next() % UInt64(running.count))]
        tell(at, "is asked: \(request.operation)")
        turn(at, .operate(request.id, request.operation))
    }
}
