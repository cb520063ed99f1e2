internal import Gossip
package import Mesh

/// Measures one shape of mesh: how soon a death is known, and how often the living are taken for dead.
package struct Trial: Sendable {
    package enum Variant: String, CaseIterable, Sendable {
        case whole
        /// Each without one part of Lifeguard (Dadgar 2018, §IV).
        case withoutLocalHealth, withoutShrinkingSuspicion, withoutBuddy
    }

    package struct Detection: Hashable, Sendable {
        /// From the death until the first member, and until every one, holds it for dead.
        package let first: Interval
        package let all: Interval
    }

    package struct FalseDeaths: Hashable, Sendable {
        /// Verdicts of death on members that ran, by any member, and on the starved one.
        package var onHealthy = 0
        package var onStarved = 0
        package var nodeHours = 0.0
        package var perNodeHour: Double { Double(onHealthy) / nodeHours }
    }

    /// What a link does to messages.
    package struct Weather: Sendable {
        package var delay = Interval.microseconds(200)...Interval.milliseconds(2)
        package var lossPermille: UInt64 = 0
        /// The first member stands still for spells of up to two seconds, and runs for as long.
        package var starvesOne = false
        package init() {}
    }

    /// So many members of a hundred may die in one round, at least one.
    private static let deathsPerHundred = 1
    /// A death that is not known everywhere after this is an error.
    private static let detectionMax = Interval.seconds(60)
    private static let settlingMax = Interval.seconds(600)

    private let members: Int
    private let settings: Gossip.Settings
    private let seed: UInt64

    package init(members: Int, variant: Variant, seed: UInt64) {
        var settings = Gossip.Settings()
        switch variant {
        case .whole: break
        case .withoutLocalHealth: settings.mindsOwnHealth = false
        case .withoutShrinkingSuspicion: settings.suspicionBeta = 1
        case .withoutBuddy: settings.tellsSuspectsFirst = false
        }
        (self.members, self.settings, self.seed) = (members, settings, seed)
    }

    /// Kills members by turns until `deaths` died; nil if one was not noticed or not taken back.
    package func detections(deaths: Int) -> [Detection]? {
        var mesh = VirtualMesh(members: members, seed: seed, settings: settings)
        var random = SeededRandom(seed: seed ^ 0xdead)
        guard settle(&mesh) else { return nil }
        var found: [Detection] = []
        var next: UInt64 = 0
        while found.count < deaths {
            // Of a thousand, ten die within a second, or the measuring would take for ever.
            let count = max(1, members * Self.deathsPerHundred / 100)
            var died: [NodeID: Instant] = [:]
            let seen = mesh.verdicts.count
            for _ in 0..<count {
                mesh.run(for: random.interval(in: .zero...(.milliseconds(1_000 / UInt64(count)))))
                let victim = NodeID(next % UInt64(members) + 1)
                next += 1
                mesh.crash(victim)
                died[victim] = mesh.time
            }
            guard let detected = watch(&mesh, died, from: seen) else { return nil }
            found += detected
            for victim in died.keys.sorted() { mesh.start(victim) }
            guard settle(&mesh) else { return nil }
        }
        return found
    }

    private func watch(_ mesh: inout VirtualMesh, _ died: [NodeID: Instant], from seen: Int)
        -> [Detection]?
    {
        let end = mesh.time + Self.detectionMax
        let observers = members - died.count
        while mesh.time < end {
            mesh.run(for: .milliseconds(250))
            var times: [NodeID: [Interval]] = [:]
            for verdict in mesh.verdicts[seen...] where verdict.liveness == .dead {
                guard let at = died[verdict.on], died[verdict.by] == nil else { continue }
                times[verdict.on, default: []].append(verdict.at.since(at))
            }
            guard times.count == died.count, times.values.allSatisfy({ $0.count >= observers })
            else { continue }
            return died.keys.sorted().compactMap { node in
                guard let first = times[node]?.min(), let last = times[node]?.max() else {
                    return nil
                }
                return Detection(first: first, all: last)
            }
        }
        return nil
    }

    private func settle(_ mesh: inout VirtualMesh) -> Bool {
        let end = mesh.time + Self.settlingMax
        mesh.run(for: .seconds(3))
        while !mesh.isSettled {
            guard mesh.time < end else { return false }
            mesh.run(for: .seconds(1))
        }
        return true
    }

    /// Nobody dies for `length`.
    package func falseDeaths(in weather: Weather, for length: Interval) -> FalseDeaths {
        var mesh = VirtualMesh(members: members, seed: seed, settings: settings)
        var random = SeededRandom(seed: seed ^ 0xfa15e)
        mesh.run(for: .seconds(5))
        mesh.delay = weather.delay
        mesh.lossPermille = weather.lossPermille
        let (began, seen) = (mesh.time, mesh.verdicts.count)
        let starved = NodeID(1)
        while mesh.time < began + length {
            guard weather.starvesOne else {
                mesh.run(for: length)
                continue
            }
            mesh.pause(starved, for: random.interval(in: .milliseconds(200)...(.seconds(2))))
            mesh.run(for: random.interval(in: .seconds(2)...(.seconds(4))))
        }
        var found = FalseDeaths()
        for verdict in mesh.verdicts[seen...] where verdict.liveness == .dead {
            if weather.starvesOne, verdict.on == starved {
                found.onStarved += 1
            } else {
                found.onHealthy += 1
            }
        }
        found.nodeHours = mesh.time.since(began).seconds / 3_600 * Double(members)
        return found
    }
}

extension VirtualMesh {
    /// `now`, by a name that reads no clock.
    fileprivate var time: Instant { self.now }
}
