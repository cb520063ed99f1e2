import Gossip
import GossipSim
import Mesh
import Scenario

/// A `VirtualMesh` that is told what to do, and tells what its members say of one another, in
/// milliseconds since it began.
struct GossipStage: ScenarioStage {
    private var mesh = VirtualMesh(members: 1, seed: 1)
    private var began = Instant.zero
    private var isMade = false
    private var count: UInt64 = 0
    private var (toldVerdicts, toldEffects) = (0, 0)
    private static let runMax = Interval.seconds(600)

    mutating func carryOut(_ command: ScenarioCommand) throws(ScenarioFault) -> [String] {
        if command.name == "mesh" {
            try make(command)
            return []
        }
        guard isMade else { throw ScenarioFault("a scenario begins with mesh") }
        switch command.name {
        case "run":
            try command.knows(words: 1...1)
            let length = try command.interval(at: 0)
            guard length <= Self.runMax else { throw ScenarioFault("\(length) is too long a run") }
            mesh.run(for: length)
        case "crash", "start", "leave": try strike(command)
        case "pause":
            try command.knows(words: 2...2)
            mesh.pause(try command.node(at: 0), for: try command.interval(at: 1))
        case "cut", "heal": try relink(command)
        case "links":
            try command.knows(words: 0...0, options: "delay", "loss")
            if let delay = try command.interval("delay") {
                mesh.delay = Interval.microseconds(200)...max(delay, .milliseconds(1))
            }
            if let loss = try command.number("loss") { mesh.lossPermille = loss * 10 }
        case "show":
            try command.knows(words: 0...0)
            return told() + table
        default: throw ScenarioFault("there is no command \(command.name)")
        }
        return told()
    }

    private mutating func make(_ command: ScenarioCommand) throws(ScenarioFault) {
        try command.knows(words: 0...1, options: "members", "seed")
        guard !isMade else { throw ScenarioFault("there is a mesh already") }
        count = try command.number("members") ?? 3
        mesh = VirtualMesh(
            members: Int(count), seed: try command.number("seed") ?? 1,
            settings: command.has("wide") ? .wide : .init())
        (isMade, began) = (true, mesh.moment)
    }

    private mutating func strike(_ command: ScenarioCommand) throws(ScenarioFault) {
        try command.knows(words: 1...8, options: "forgets")
        let forgets = command.option("forgets") == "yes"
        for at in 0..<command.count {
            let node = try command.node(at: at)
            guard 1...count ~= node.rawValue else { throw ScenarioFault("there is no \(node)") }
            switch command.name {
            case "crash": mesh.crash(node)
            case "start": mesh.start(node, forgets: forgets)
            default: mesh.give(.leave, to: node)
            }
        }
    }

    private mutating func relink(_ command: ScenarioCommand) throws(ScenarioFault) {
        try command.knows(words: 0...8)
        let all = (1...count).map { NodeID($0) }
        for at in 0..<command.count {
            for link in try ScenarioLink.links(try command.word(at), among: all) {
                let cut = VirtualMesh.Cut(from: link.from, to: link.to)
                if command.name == "cut" { mesh.cuts.insert(cut) } else { mesh.cuts.remove(cut) }
            }
        }
        if command.name == "heal", command.count == 0 { mesh.cuts = [] }
    }

    // MARK: What is told

    private mutating func told() -> [String] {
        var lines: [String] = []
        for verdict in mesh.verdicts[toldVerdicts...] {
            lines.append(
                "\(moment(verdict.at))  \(verdict.by) holds \(verdict.on) for \(verdict.liveness)")
        }
        for (node, effect) in mesh.effectsOfNote[toldEffects...] {
            switch effect {
            case .restarted(let other, _):
                lines.append("        \(node) sees that \(other) restarted")
            case .conflict(let other, _):
                lines.append("        \(node) sees two that call themselves \(other)")
            default: break
            }
        }
        (toldVerdicts, toldEffects) = (mesh.verdicts.count, mesh.effectsOfNote.count)
        return lines
    }

    private func moment(_ at: Instant) -> String {
        let text = "\(at.since(began).nanoseconds / 1_000_000)"
        return String(repeating: " ", count: max(0, 6 - text.count)) + text
    }

    private var table: [String] {
        (1...count).map { id in
            guard let node = mesh[id] else { return "node \(id)  down" }
            let others = (1...count).filter { $0 != id }.map { other in
                "\(other) \(node.liveness(of: NodeID(other)).map { "\($0)" } ?? "unknown")"
            }
            return "node \(id)  incarnation \(node.incarnation): " + others.joined(separator: ", ")
        }
    }
}

extension VirtualMesh {
    /// `now`, by a name that reads no clock.
    fileprivate var moment: Instant { self.now }
}
