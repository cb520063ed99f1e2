internal import Disk
internal import JournalCore
internal import Mesh
internal import SimulatedDisk
internal import VolumeCore

/// Cuts the power at every step of every disk operation of a script that one member's storage goes
/// through, in several ways, and lets it recover from each.
///
/// The state is a value, so a cut costs the one deed that it strikes, not the script up to there.
package struct PowerCuts: Sendable {
    /// What a run came to.
    package struct Report: Hashable, Sendable {
        /// Changes and syncs of both disks, each of which was cut.
        package internal(set) var operations = 0
        /// States that a member had to recover from.
        package internal(set) var points = 0
        package internal(set) var recovered = 0
        /// Of the points those where the power went again in the midst of the recovery.
        package internal(set) var secondCuts = 0
        package internal(set) var deeds: [String: Int] = [:]
        package internal(set) var rotations = 0
        /// Segments made of an old one.
        package internal(set) var recycled = 0
        /// The first few, as text.
        package internal(set) var violations: [String] = []
        /// What the script should have done and did not.
        package internal(set) var omissions: [String] = []
    }

    /// So many violations are told; the rest only counts.
    package static let violationsMax = 10
    /// How many deeds follow a recovery before the power goes once more.
    private static let deedsBehind: UInt64 = 4
    /// No recovery takes as many steps on one disk.
    private static let recoveryStepsMax = 200
    private static let ways: [SimulatedDisk.Kept] = [
        .nothing, .everything, .few, .half, .half, .most,
    ]

    private let seed: UInt64
    private let operationsMin: Int
    private var report = Report()

    package init(seed: UInt64, operations: Int) { (self.seed, operationsMin) = (seed, operations) }

    package mutating func run() throws -> Report {
        var world = try World(seed: seed)
        while report.operations < operationsMin {
            let before = world
            let deed = try world.step()
            note(deed, before, world)
            for side in Disks.Side.allCases {
                let steps = world.steps(side) - before.steps(side)
                report.operations += steps
                for step in 0..<steps {
                    cut(before, world, Place(deed: deed, side: side, step: step + 1))
                }
            }
        }
        noteOmissions()
        return report
    }

    /// Where the power goes.
    private struct Place {
        let deed: Deed
        let side: Disks.Side
        let step: Int
    }

    private mutating func cut(_ before: World, _ after: World, _ place: Place) {
        var struck = before
        let last = before.steps(place.side) + place.step
        struck.alter(place.side) { $0.powerCutAtStep = last }
        guard (try? struck.step()) == nil else {
            return point("\(place.deed), step \(place.step)") {
                throw Broken("the deed goes on without power")
            }
        }
        for (number, kept) in Self.ways.enumerated() {
            let way = UInt64(report.operations) << 32 | UInt64(place.step) << 8 | UInt64(number)
            var random = SeededRandom(seed: seed ^ way)
            var disks = struck.member.disks
            disks.crash(keeping: kept, using: &random)
            let name =
                "\(place.deed), step \(place.step) on the disk of the \(place.side), \(kept) kept"
            let goesOn = number % 2 == 1
            point(name) { try Self.recover(disks, before, after, goesOn: goesOn, &random) }
            if number == 3 {
                for side in Disks.Side.allCases {
                    cutAgain(name, side, disks, before, after, &random)
                }
            }
        }
    }

    /// Cuts the recovery at each of its steps.
    private mutating func cutAgain(
        _ name: String, _ side: Disks.Side, _ found: Disks, _ before: World, _ after: World,
        _ random: inout SeededRandom
    ) {
        for step in 1...Self.recoveryStepsMax {
            var disks = found
            let last = disks[side].counts.steps + step
            disks[side].powerCutAtStep = last
            if (try? Member(&disks, random: random.fork())) != nil { return }
            // It failed by itself, which is counted already.
            guard disks[side].counts.steps == last else { return }
            disks.crash(using: &random)
            report.secondCuts += 1
            var chance = random.fork()
            point("\(name), cut again at step \(step) of its recovery on the disk of the \(side)") {
                try Self.recover(disks, before, after, goesOn: false, &chance)
            }
        }
    }

    private mutating func point(_ name: String, _ recovers: () throws -> Void) {
        report.points += 1
        do {
            try recovers()
            report.recovered += 1
        } catch {
            guard report.violations.count < Self.violationsMax else { return }
            let what = (error as? Broken)?.what ?? "\(error)"
            report.violations.append("operation \(report.operations), \(name): \(what)")
        }
    }

    /// Throws unless the member comes back with all that was promised, and can go on from there.
    private static func recover(
        _ disks: Disks, _ before: World, _ after: World, goesOn: Bool,
        _ random: inout SeededRandom
    ) throws {
        var disks = disks
        let member = try Member(&disks, random: random.fork())
        // A batch counts whole or not at all.
        guard member.found == after.log || member.found == before.log else {
            throw Broken(
                "the log ends at \(member.found.last), and held \(before.log.last) before the deed "
                    + "and \(after.log.last) behind it")
        }
        let lawful = member.found == after.log ? after : before
        let world = World(lawful, restarted: member, opening: before.opening)
        let mayResync = before.mayResync || after.mayResync
        try world.audit(promisedBy: before, mayResync: mayResync)
        guard goesOn else { return }
        try continueAndCrash(world, &random)
    }

    /// What was recovered is as good a start as any.
    private static func continueAndCrash(_ world: World, _ random: inout SeededRandom) throws {
        var world = world
        for _ in 0..<deedsBehind { _ = try world.step() }
        var disks = world.member.disks
        disks.crash(using: &random)
        try recover(disks, world, world, goesOn: false, &random)
    }
}

extension PowerCuts {
    private mutating func note(_ deed: Deed, _ before: World, _ after: World) {
        report.deeds[deed.rawValue, default: 0] += 1
        let (old, new) = (before.logFiles, after.logFiles)
        let fresh = new.filter { $0.hasPrefix("segment-") && !old.contains($0) }
        report.rotations += fresh.filter { !$0.hasSuffix(".new") }.count
        report.recycled += old.filter { $0.hasPrefix("spare-") && !new.contains($0) }.count
    }

    /// A script that left something out proves nothing of it.
    private mutating func noteOmissions() {
        for deed in Deed.allCases where report.deeds[deed.rawValue] == nil {
            report.omissions.append(deed.rawValue)
        }
        if report.rotations == 0 { report.omissions.append("rotation") }
        if report.recycled == 0 { report.omissions.append("recycled segment") }
        if report.secondCuts == 0 { report.omissions.append("second cut") }
    }
}
