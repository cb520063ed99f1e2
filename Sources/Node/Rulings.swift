package import Decisions
internal import Mesh
internal import Raft
package import Record
package import VolumeCore
internal import Wire

extension Decisions.Step {
    /// nil for what this release does not know.
    init?(of entry: Entry) {
        let deed: Decisions.Deed
        switch entry.kind {
        case .blank: deed = .blank
        case .membership:
            guard let membership = try? Membership(parsing: Array(entry.payload)) else {
                return nil
            }
            deed = .membership(Roll(membership))
        case .write, .stream: deed = .record
        case .command:
            guard let command = try? Command(parsing: entry.payload) else { return nil }
            deed = .command(command)
        }
        self.init(
            index: entry.index, epoch: entry.epoch, session: entry.session,
            sequence: entry.sequence, time: entry.time, deed: deed)
    }
}

extension Ruling {
    /// What the volumes have to do where the decisions came to `outcome`.
    init(_ outcome: Outcome, of entry: Entry) {
        self =
            switch outcome {
            case .renewed where entry.kind == .write: .accepted
            case .created(let volume):
                .created(
                    volume.id, name: volume.name, byteCount: volume.byteCount,
                    isSync: volume.durability == .sync)
            case .deleted(let volume): .deleted(volume.id)
            case .grown(let volume): .grown(volume.id, byteCount: volume.byteCount)
            default: .nothing
            }
    }
}

/// What a committed log means, without a node: whoever replays one rules as every member did.
package struct Rulings: Sendable {
    package private(set) var decisions: Decisions

    /// As of the entry before the first that is ruled.
    package init(_ decisions: Decisions) { self.decisions = decisions }

    /// nil where the entry is of a kind, or of a feature level, that this release does not know.
    package mutating func rule(_ entry: Entry) -> Ruling? {
        guard let step = Decisions.Step(of: entry) else { return nil }
        if case .command(.raiseLevel(let level)) = step.deed, level > .spoken { return nil }
        return Ruling(decisions.apply(step), of: entry)
    }
}
