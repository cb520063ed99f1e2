package import Repository
internal import Sealing

/// Makes the copies of a repository whole again, each from the others. Nothing is written over and nothing deleted: what is
/// damaged is taken out of the way first, and only where something whole takes its place.
package struct Repair: Sendable {
    package struct Report: Sendable {
        /// What a scrub found first.
        package let scrub: Scrub.Report
        /// What was put right, read back and found whole.
        package var repaired: [Scrub.Finding] = []
        /// What is whole in no copy, nor together.
        package var lost: [ObjectName] = []
        /// Two different copies, both of which open: somebody put one of them who should not have.
        package var conflicts: [ObjectName] = []
        /// What could not be put right for another reason.
        package var failed: [(finding: Scrub.Finding, why: BackupFailure)] = []
        /// Indexes that were whole nowhere, and are out of the way: others tell of all that they told of, made from the packs.
        package var rebuilt: [ObjectName] = []
        /// What the backups lack by it.
        package var losses: [Loss] = []
    }

    private let vault: Vault
    private let copies: [StoreCopy]
    private let check: ObjectCheck
    private let scrub: Scrub

    /// `vault` is on a store of several.
    package init(
        _ vault: Vault, threads: Int, bytesPerSecond: UInt64? = nil,
        advanced: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.vault = vault
        copies = vault.store.copies
        check = ObjectCheck(vault: vault)
        scrub = Scrub(
            vault.store, vault, threads: threads, bytesPerSecond: bytesPerSecond, advanced: advanced
        )
    }

    package func run() throws(BackupFailure) -> Report { try mend(what: scrub.run) }

    /// Brings to each store what it lacks, as far as its list tells: quick, and blind to damage.
    package func catchUp() throws(BackupFailure) -> Report { try mend(what: scrub.lacking) }

    private func mend(
        what find: () throws(BackupFailure) -> Scrub.Report
    ) throws(BackupFailure) -> Report {
        let gone = try Gone(vault)
        let found = try find()
        var report = Report(scrub: found)
        let findings = Dictionary(grouping: found.findings.filter { $0.problem != .stranger }) {
            $0.name
        }
        for name in order(findings.keys.compactMap(ObjectName.init)) {
            guard let own = findings[name.text], !gone.contains(name, vault.layout) else {
                continue
            }
            mend(name, own, found.absent, &report)
        }
        if !report.lost.isEmpty || !report.failed.isEmpty {
            try reckon(&report, present(found.absent))
        }
        return report
    }

    /// What is led to comes before what leads there, so that whoever reads meanwhile finds it.
    private func order(_ names: [ObjectName]) -> [ObjectName] {
        func rank(_ name: ObjectName) -> Int {
            switch Layout.kind(name) {
            case .pack: 0
            case .index: 1
            case .other: 2
            }
        }
        return names.sorted { (rank($0), $0) < (rank($1), $1) }
    }

    private func mend(
        _ name: ObjectName, _ findings: [Scrub.Finding], _ absent: [Int: ObjectStoreFailure],
        _ report: inout Report
    ) {
        let present = present(absent)
        let all = present.compactMap { try? $0.store.get(name, nil) }
        let wholes = Set(all.filter { check.damage(name, $0) == nil })
        guard wholes.count < 2 else { return report.conflicts.append(name) }
        let whole =
            wholes.first ?? Combination.of(all) { check.damage(name, $0) == nil }
        guard let whole else { return report.lost.append(name) }
        for finding in findings {
            guard let copy = present.first(where: { $0.name == finding.store }) else { continue }
            do throws(BackupFailure) {
                try put(whole, name, copy.store, replacing: finding.problem != .missing)
                report.repaired.append(finding)
            } catch { report.failed.append((finding, error)) }
        }
    }

    private func present(_ absent: [Int: ObjectStoreFailure]) -> [StoreCopy] {
        copies.enumerated().filter { absent[$0.offset] == nil }.map(\.element)
    }

    private func put(
        _ bytes: [UInt8], _ name: ObjectName, _ store: any ObjectStore, replacing: Bool
    ) throws(BackupFailure) {
        do throws(ObjectStoreFailure) {
            if replacing { try store.quarantine(name) }
            _ = try store.put(name, bytes)
            guard try store.get(name, nil) == bytes else {
                throw ObjectStoreFailure(
                    "repair", name.text, in: "the store",
                    .service("it was put, and reads as something else: suspect that store's disk"))
            }
        } catch { throw .store(error) }
    }

    /// Of what could not be made whole: which indexes can be made again, and what the backups lack then.
    private func reckon(
        _ report: inout Report, _ present: [StoreCopy]
    ) throws(BackupFailure) {
        let indexes = report.lost.filter { Layout.kind($0) == .index }
        if !indexes.isEmpty {
            let rebuild = try IndexRebuild(vault, present.map(\.store)).run()
            if rebuild.isComplete { setAside(indexes, present, &report) }
        }
        let failed = report.failed.compactMap { ObjectName($0.finding.name) }
        report.losses = try Losses(vault, packs: Set(report.lost).union(failed)).all()
    }

    private func setAside(
        _ indexes: [ObjectName], _ present: [StoreCopy], _ report: inout Report
    ) {
        for name in indexes {
            var isAside = true
            for copy in present {
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

/// What was let go of, or is just about to be: no copy of it is made anew.
private struct Gone {
    private let letGo: NumberSet
    private let doomed: CollectionStatement.Names

    init(_ vault: Vault) throws(BackupFailure) {
        let collections = Collections(vault)
        letGo = try collections.letGo().numbers
        doomed = try collections.tombstones()
    }

    func contains(_ name: ObjectName, _ layout: Layout) -> Bool {
        if let digest = Layout.digest(name) {
            return doomed.packs.contains(digest) || doomed.indexes.contains(digest)
        }
        guard let number = Layout.number(name), name == layout.manifest(number) else {
            return false
        }
        return letGo.contains(number) || doomed.manifests.contains(number)
    }
}
