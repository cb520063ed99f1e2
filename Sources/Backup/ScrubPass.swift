internal import Mesh
package import Repository

/// How far a scrub has come that goes on for days: a repository is read part by part, each when it is due, so that what it costs is
/// spread evenly over the time in which all has to be read.
package struct ScrubPass: Codable, Hashable, Sendable {
    /// A pass that came to its end.
    package struct Ended: Codable, Hashable, Sendable {
        /// Unix seconds.
        package let began: UInt64
        package let ended: UInt64
        /// Copies of objects, and their bytes.
        package let copyCount: Int
        package let byteCount: UInt64
    }

    /// A copy that is not as it was stored, and was not put right.
    package struct Bad: Codable, Hashable, Comparable, Sendable {
        package let name: String
        package let store: String
        package let words: String

        package static func < (a: Self, b: Self) -> Bool {
            (a.name, a.store) < (b.name, b.store)
        }
    }

    /// So many are kept: where there are more, a repair has to read all again anyway.
    package static let badMax = 1_000
    /// The last tenth of the time is left for what was late.
    private static let tenthsUsed: UInt64 = 9

    /// Unix seconds.
    package private(set) var began: UInt64
    /// The part that is read next.
    package private(set) var next = 0
    package private(set) var copyCount = 0
    package private(set) var byteCount: UInt64 = 0
    package private(set) var last: Ended?
    package private(set) var bad: [Bad] = []

    package init(at now: UInt64) { began = now }

    /// All parts were read.
    package var isOver: Bool { next >= Scrub.partCount }

    /// Whether the next part is to be read, where all have to be read in `period` seconds.
    package func isDue(at now: UInt64, every period: UInt64) -> Bool {
        // A clock that was put back must not stop it.
        guard now >= began else { return true }
        guard !isOver else { return now - began >= period }
        return now - began >= period * Self.tenthsUsed / 10 * UInt64(next) / UInt64(Scrub.partCount)
    }

    /// Whether it takes more than twice the time that it should.
    package func isLate(at now: UInt64, every period: UInt64) -> Bool {
        !isOver && now >= began && now - began > 2 * period
    }

    /// Another pass begins, if this one has come to its end.
    package mutating func begin(at now: UInt64) {
        guard isOver || now < began else { return }
        (began, copyCount, byteCount) = (now, 0, 0)
        if isOver { next = 0 }
    }

    /// The part was read, and this is what is bad in it.
    package mutating func advance(
        _ report: Scrub.Report, bad found: [Bad], at now: UInt64
    ) {
        copyCount += report.objectCount
        byteCount += report.byteCount
        next += 1
        note(found)
        guard isOver else { return }
        last = Ended(
            began: began, ended: max(now, began), copyCount: copyCount, byteCount: byteCount)
    }

    /// Of those objects nothing is bad any more but what is named.
    package mutating func recheck(_ names: [String], bad found: [Bad]) {
        let names = Set(names)
        bad.removeAll { names.contains($0.name) }
        note(found)
    }

    private mutating func note(_ found: [Bad]) {
        let known = Set(bad.map { [$0.name, $0.store] })
        bad += found.filter { !known.contains([$0.name, $0.store]) }
        bad.sort()
        bad.removeLast(max(bad.count - Self.badMax, 0))
    }
}

extension Scrub {
    package static let partCount = 259

    /// What a pass reads one after the other of one tenant's repository.
    package static func parts(of vault: Vault) -> [[ObjectName]] {
        let layout = vault.layout
        let small = [
            layout.rings, layout.manifests, layout.holds, layout.sessions, layout.indexes,
        ]
        // Collections last: a store that missed one is known by that, and nothing that it alone has is taken for what others lack.
        let parts =
            [small, [layout.logs]] + layout.packFolders.map { [$0] } + [[layout.collections]]
        invariant(parts.count == partCount, "as many parts as are counted")
        return parts
    }
}

extension Repair.Report {
    /// What is bad still, where a repair followed a scrub.
    package var bad: [ScrubPass.Bad] {
        let right = Set(repaired.map { [$0.name, $0.store] })
        let left = Set(passedOver.map(\.text))
        return scrub.findings.filter {
            !right.contains([$0.name, $0.store]) && !left.contains($0.name)
        }.compactMap(ScrubPass.Bad.init)
    }
}

extension Scrub.Report {
    package var bad: [ScrubPass.Bad] { findings.compactMap(ScrubPass.Bad.init) }
}

extension ScrubPass.Bad {
    /// nil for what is nobody's.
    fileprivate init?(_ finding: Scrub.Finding) {
        guard finding.problem != .stranger else { return nil }
        (name, store, words) = (finding.name, finding.store, "\(finding.problem)")
    }
}
