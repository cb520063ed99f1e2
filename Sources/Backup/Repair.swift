package import Pacing
package import Repository
internal import Sealing

/// Makes the copies of a repository whole again, each from the others. Nothing is deleted: what is damaged is kept aside, and
/// only where something whole takes its place, at once.
package struct Repair: Sendable {
    package struct Report: Sendable {
        /// What a scrub found first.
        package let scrub: Scrub.Report
        /// What was put right, read back and found whole.
        package var repaired: [Scrub.Finding] = []
        /// What is whole in no copy, nor together.
        package var lost: [ObjectName] = []
        /// What is whole in none of the copies that could be asked, where not all could.
        package var undecided: [ObjectName] = []
        /// Two different copies, both of which open: somebody put one of them who should not have.
        package var conflicts: [ObjectName] = []
        /// What is missing somewhere, and is left so: it was let go of, or is about to be, or only a store that missed a collection
        /// has it; or it is another tenant's, of which nobody here can tell.
        package var passedOver: [ObjectName] = []
        /// What could not be put right for another reason.
        package var failed: [(finding: Scrub.Finding, why: BackupFailure)] = []
        /// What no version of is whole, and was not there at the time that the past is of: somebody put it who had no key. It is
        /// out of the way.
        package var planted: [ObjectName] = []
        /// Indexes that were whole nowhere, and are out of the way: others tell of all that they told of, made from the packs.
        package var rebuilt: [ObjectName] = []
        /// What the backups lack by what is lost; nil where that could not be told, or was not asked.
        package var losses: [Loss]?
    }

    /// After so many objects it is read anew what was let go of meanwhile.
    private static let objectsPerLook = 256

    private let vault: Vault
    private let copies: [StoreCopy]
    private let check: ObjectCheck
    private let scrub: Scrub
    /// Whether an object was there at the time that the copies of the past are of.
    package typealias WasThere = @Sendable (ObjectName) -> Bool
    private let wasThere: WasThere?
    private let tell: WorkTeller

    /// `vault` is on a store of several. Without `wasThere` nothing is taken out of the way that nothing whole takes the place of.
    package init(
        _ vault: Vault, rings: RingHistory? = nil, threads: Int, bytesPerSecond: UInt64? = nil,
        wasThere: WasThere? = nil, tell: @escaping WorkTeller = { _ in }
    ) {
        (self.vault, self.wasThere, self.tell) = (vault, wasThere, tell)
        copies = vault.store.copies
        check = ObjectCheck(vault: vault, rings: rings)
        scrub = Scrub(
            vault.store, vault, rings: rings, threads: threads, bytesPerSecond: bytesPerSecond,
            tell: tell)
    }

    package func run() throws(BackupFailure) -> Report {
        var report = mend(try scrub.run())
        reckon(&report)
        return report
    }

    /// Brings to each store what it lacks, as far as its list tells: quick, and blind to damage.
    package func catchUp() throws(BackupFailure) -> Report { mend(try scrub.lacking()) }

    /// Puts right what a scrub found, as far as it can.
    package func mend(_ found: Scrub.Report) -> Report {
        var report = Report(scrub: found)
        // A store that fails as a whole is not asked for each object anew.
        var away = Set(found.absent.keys)
        let past = Set(copies.filter(\.isPast).map(\.name))
        var findings = Dictionary(
            grouping: found.findings.compactMap { mendable($0, past) }, by: \.name)
        // Before it is asked what was let go of: what was put there may be what would be asked.
        for name in order(findings.keys.compactMap(ObjectName.init))
        where isPlanted(name, findings[name.text] ?? [], away) {
            setAside(name, findings.removeValue(forKey: name.text) ?? [], &report)
        }
        let standing = Self.result { () throws(BackupFailure) in
            try CopyStanding(copies, besides: away, vault.layout)
        }
        let stale = (try? standing.get())?.stale ?? []
        var gone = Result<Gone, BackupFailure>.failure(.givenUp)
        var looked: Int?
        tell(.began("mending", in: .objects, total: UInt64(findings.count)))
        for (count, name) in order(findings.keys.compactMap(ObjectName.init)).enumerated() {
            // What tells of collections is mended before it is asked.
            if rank(name) > 0, looked.map({ count - $0 >= Self.objectsPerLook }) ?? true {
                gone = Self.result { () throws(BackupFailure) in
                    try Gone(vault, try standing.get())
                }
                looked = count
            }
            var own = findings[name.text] ?? []
            if rank(name) > 0 { leaveOut(&own, name, gone, &report) }
            if !own.isEmpty { mend(name, own, stale, &away, &report) }
            tell(.advanced(1))
        }
        return report
    }

    /// What was there before can't be put right, and is none of what has to be; but what is different from it may have to.
    private func mendable(_ finding: Scrub.Finding, _ past: Set<String>) -> Scrub.Finding? {
        if finding.problem == .stranger { return nil }
        guard past.contains(finding.store) else { return finding }
        guard case .differs(let store) = finding.problem else { return nil }
        return Scrub.Finding(
            store: store, name: finding.name, problem: .differs(from: finding.store))
    }

    /// Of what is missing, that which was let go of, and what is another tenant's: that one may have let go of it, or have been erased,
    /// and brings it back itself. All of it where nobody can tell.
    private func leaveOut(
        _ findings: inout [Scrub.Finding], _ name: ObjectName, _ gone: Result<Gone, BackupFailure>,
        _ report: inout Report
    ) {
        let missing = findings.filter { $0.problem == .missing }
        guard !missing.isEmpty else { return }
        guard check.isOwn(name) || name == Layout.repository || ObjectCheck.isErasure(name) else {
            report.passedOver.append(name)
            return findings.removeAll { $0.problem == .missing }
        }
        switch gone {
        case .success(let gone):
            guard gone.contains(name) else { return }
            report.passedOver.append(name)
        case .failure(let why): report.failed += missing.map { ($0, why) }
        }
        findings.removeAll { $0.problem == .missing }
    }

    private static func result<Value>(
        _ body: () throws(BackupFailure) -> Value
    ) -> Result<Value, BackupFailure> {
        do throws(BackupFailure) { return .success(try body()) } catch { return .failure(error) }
    }

    /// What is led to comes before what leads there, so that whoever reads meanwhile finds it.
    private func order(_ names: [ObjectName]) -> [ObjectName] {
        names.sorted { (rank($0), $0) < (rank($1), $1) }
    }

    private func rank(_ name: ObjectName) -> Int {
        switch Layout.kind(name) {
        case .pack: 1
        case .index: 2
        case .other: name.text.hasPrefix(vault.layout.collections.text + "/") ? 0 : 3
        }
    }

    /// What the copies hold under a name.
    private struct Held {
        var bytes: [[UInt8]] = []
        /// What was there first, where that is known.
        var past: [[UInt8]] = []
        /// Of those that are not behind in collections.
        var isOnlyStale = true
        /// Some copy could not be asked, or not be read.
        var isBlind = false
    }

    private func held(_ name: ObjectName, _ stale: Set<Int>, _ away: Set<Int>) -> Held {
        var held = Held(isBlind: !away.isEmpty)
        for (number, copy) in copies.enumerated() where !away.contains(number) {
            do throws(ObjectStoreFailure) {
                let bytes = try copy.store.get(name, nil)
                scrub.pace.wait(for: bytes.count)
                held.bytes.append(bytes)
                if copy.isPast { held.past.append(bytes) }
                if !stale.contains(number) { held.isOnlyStale = false }
            } catch { if error.cause.mayPass { held.isBlind = true } }
        }
        return held
    }

    private func mend(
        _ name: ObjectName, _ findings: [Scrub.Finding], _ stale: Set<Int>, _ away: inout Set<Int>,
        _ report: inout Report
    ) {
        let held = held(name, stale, away)
        let isMissing = findings.allSatisfy { $0.problem == .missing }
        // Deleted in all of them since it was found.
        if isMissing, held.bytes.isEmpty, !held.isBlind { return }
        if isMissing, held.isOnlyStale, !held.bytes.isEmpty {
            return report.passedOver.append(name)
        }
        var wholes = Set(held.bytes.filter { check.damage(name, $0) == nil })
        // Where nothing else tells, what was there before counts.
        let first = wholes.intersection(held.past)
        if wholes.count > 1, first.count == 1, !check.isProof(of: name) { wholes = first }
        guard wholes.count < 2 else { return report.conflicts.append(name) }
        let whole = wholes.first ?? Combination.of(held.bytes) { check.damage(name, $0) == nil }
        guard let whole else {
            return held.isBlind ? report.undecided.append(name) : report.lost.append(name)
        }
        for finding in findings {
            guard let number = copies.firstIndex(where: { $0.name == finding.store }) else {
                continue
            }
            guard !away.contains(number) else {
                report.failed.append((finding, .volume("\(finding.store) failed before this")))
                continue
            }
            do throws(ObjectStoreFailure) {
                try put(whole, name, copies[number].store)
                report.repaired.append(finding)
            } catch {
                if takesNothing(copies[number].store, error.cause) { away.insert(number) }
                report.failed.append((finding, .store(error)))
            }
        }
    }

    /// Whether it is whole in no version, was not there before, and is of this tenant: of others nobody here can tell.
    private func isPlanted(
        _ name: ObjectName, _ findings: [Scrub.Finding], _ away: Set<Int>
    ) -> Bool {
        // What is named by its digest is in nobody's way, and may be all that is left of what rotted.
        guard let wasThere, check.isOwn(name), !ObjectCheck.isNamedByDigest(name), !wasThere(name)
        else { return false }
        let held = held(name, [], away)
        return !held.isBlind && !held.bytes.contains { check.mayBeOurs(name, $0) }
            && Combination.of(held.bytes, where: { check.isWhole(name, $0) }) == nil
    }

    private func setAside(
        _ name: ObjectName, _ findings: [Scrub.Finding], _ report: inout Report
    ) {
        var isAside = true
        for finding in findings where finding.problem != .missing {
            guard let copy = copies.first(where: { $0.name == finding.store }) else { continue }
            do throws(ObjectStoreFailure) { try copy.store.quarantine(name) } catch {
                isAside = false
                report.failed.append((finding, .store(error)))
            }
        }
        if isAside { report.planted.append(name) }
    }

    /// Or it is that one object, which somebody may have made so.
    private func takesNothing(
        _ store: any ObjectStore, _ cause: ObjectStoreFailure.Cause
    ) -> Bool {
        switch cause {
        case .full, .readOnly, .storeGone: true
        default: cause.isOfTheStore && scrub.isAway(store)
        }
    }

    private func put(
        _ bytes: [UInt8], _ name: ObjectName, _ store: any ObjectStore
    ) throws(ObjectStoreFailure) {
        if let there = try? store.get(name, nil), there == bytes { return }
        try store.replace(name, with: bytes)
        guard try store.get(name, nil) == bytes else {
            throw ObjectStoreFailure(
                "repair", name.text, in: "the store",
                .service("it was put, and reads as something else: suspect that store's disk"))
        }
    }

    /// Which indexes can be made again of those that are lost, and what the backups lack then.
    private func reckon(_ report: inout Report) {
        let lost = report.lost.filter { Layout.kind($0) != .other }
        guard !lost.isEmpty, report.scrub.absent.isEmpty else { return }
        tell(.began("reckoning", in: .objects))
        do throws(BackupFailure) {
            let indexes = lost.filter { Layout.kind($0) == .index }
            if !indexes.isEmpty {
                let rebuild = try IndexRebuild(
                    vault, copies.filter { !$0.isPast }.map(\.store)
                ).run()
                if rebuild.isComplete { setAside(indexes, &report) }
            }
            report.losses = try Losses(vault, without: Set(report.lost)).all()
        } catch { report.losses = nil }
    }

    private func setAside(_ indexes: [ObjectName], _ report: inout Report) {
        for name in indexes {
            var isAside = true
            for copy in copies where !copy.isPast {
                do throws(ObjectStoreFailure) { try copy.store.quarantine(name) } catch {
                    if error.cause != .missing { isAside = false }
                }
            }
            guard isAside else { continue }
            report.rebuilt.append(name)
            report.lost.removeAll { $0 == name }
        }
    }
}

extension ObjectStoreFailure.Cause {
    /// Whether the object may be whole there, and be had another time.
    fileprivate var mayPass: Bool {
        switch self {
        case .missing, .short, .oversized, .notAnObject: false
        case .taken, .full, .denied, .readOnly, .storeGone, .service: true
        // A sector that can't be read is lost.
        case .system(let code, _): code != 5
        }
    }
}
