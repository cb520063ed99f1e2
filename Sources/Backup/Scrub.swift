internal import NIOConcurrencyHelpers
package import Pacing
package import Repository
internal import Sealing

/// Reads all that lies in each store of a repository, and tells what is not as it was stored. Of what is named by its
/// digest, which is all but a few kilobytes of each backup, no key is needed to tell.
package struct Scrub: Sendable {
    package struct Report: Sendable {
        /// Copies of objects that were read, and their bytes.
        package var objectCount = 0
        package var byteCount: UInt64 = 0
        package var findings: [Finding] = []
        /// Copies that could not be asked, or not to the end, by their number.
        package var absent: [Int: ObjectStoreFailure] = [:]
    }

    /// What is wrong with one copy of an object.
    package struct Finding: Hashable, Sendable {
        package enum Problem: Hashable, Sendable {
            case missing
            case damaged(ObjectDamage)
            case unreadable(ObjectStoreFailure.Cause)
            /// Two copies are different, and no key is here to tell which of them is as it was stored.
            case differs(from: String)
            /// Nobody knows what it is: it is in nobody's way, and nobody's copy.
            case stranger
        }
        package let store: String
        package let name: String
        package let problem: Problem
    }

    let copies: [StoreCopy]
    let check: ObjectCheck
    private let workers: Workers
    let pace: Pace
    private let tell: WorkTeller

    /// Without a `vault` no key is needed. Reads at most so many bytes in a second, of all stores together.
    package init(
        _ store: any ObjectStore, _ vault: Vault?, rings: RingHistory? = nil, threads: Int,
        bytesPerSecond: UInt64? = nil, tell: @escaping WorkTeller = { _ in }
    ) {
        copies = store.copies
        check = ObjectCheck(vault: vault, rings: rings)
        workers = Workers(threads)
        pace = Pace(bytesPerSecond)
        self.tell = tell
    }

    package func run() throws(BackupFailure) -> Report {
        let report = NIOLockedValueBox(Report())
        tell(.began("listing", in: .objects))
        let listed = try list(report)
        tell(.began("scrubbing", total: listed.byteCount))
        return try look(at: listed.names, report)
    }

    /// What lies in these folders of the repository, and what has these names. A store that can't be listed is told, and nothing is missing there for it.
    package func run(
        _ folders: [ObjectName], and others: [ObjectName] = []
    ) throws(BackupFailure) -> Report {
        let report = NIOLockedValueBox(Report())
        var names = Set(others)
        for (number, copy) in copies.enumerated() {
            do throws(ObjectStoreFailure) {
                for folder in folders {
                    names.formUnion(try copy.store.list(folder).objects.map(\.name))
                }
            } catch { report.withLockedValue { $0.absent[number] = error } }
        }
        return try look(at: names.sorted(), report)
    }

    /// What has these names.
    package func look(at names: [ObjectName]) throws(BackupFailure) -> Report {
        try look(at: names, NIOLockedValueBox(Report()))
    }

    private func look(
        at names: [ObjectName], _ report: NIOLockedValueBox<Report>
    ) throws(BackupFailure) -> Report {
        try workers.perform(names.count) { item, _ throws(BackupFailure) in
            let found = self.read(names[item], report)
            report.withLockedValue { $0.findings += found }
        }
        var done = report.withLockedValue { $0 }
        done.findings.sort { ($0.name, $0.store) < ($1.name, $1.store) }
        return done
    }

    /// What each copy lacks of what is in others, by their lists alone.
    func lacking() throws(BackupFailure) -> Report {
        let box = NIOLockedValueBox(Report())
        var lists: [Int: Set<ObjectName>] = [:]
        let names = try list(box) { lists[$0] = $1 }.names
        var report = box.withLockedValue { $0 }
        for name in names {
            for (number, copy) in copies.enumerated() where lists[number]?.contains(name) == false {
                report.findings.append(
                    Finding(store: copy.name, name: name.text, problem: .missing))
            }
        }
        return report
    }

    /// What is in any of the copies, and the bytes of all of them; and what in each is given to `found`.
    private func list(
        _ report: NIOLockedValueBox<Report>, _ found: (Int, Set<ObjectName>) -> Void = { _, _ in }
    ) throws(BackupFailure) -> (names: [ObjectName], byteCount: UInt64) {
        var (names, byteCount) = (Set<ObjectName>(), UInt64(0))
        for (number, copy) in copies.enumerated() {
            do throws(ObjectStoreFailure) {
                let listing = try copy.store.list(nil)
                let own = Set(listing.objects.map(\.name))
                // All is whole where nothing is: a disk that is not mounted.
                guard own.contains(Layout.repository) else {
                    throw ObjectStoreFailure(
                        "scrub", "it", in: copy.name,
                        .service("no repository is there: it may not be mounted"))
                }
                found(number, own)
                names.formUnion(own)
                byteCount += listing.objects.reduce(0) { $0 + UInt64($1.byteCount) }
                tell(.advanced(UInt64(own.count)))
                report.withLockedValue { report in
                    report.findings += listing.strangers.map {
                        Finding(store: copy.name, name: $0, problem: .stranger)
                    }
                }
            } catch { report.withLockedValue { $0.absent[number] = error } }
        }
        let absent = report.withLockedValue { $0.absent }
        if let failure = absent[0], absent.count == copies.count { throw .store(failure) }
        return (names.sorted(), byteCount)
    }

    private func read(_ name: ObjectName, _ report: NIOLockedValueBox<Report>) -> [Finding] {
        var problems: [(copy: Int, problem: Finding.Problem)] = []
        var first: (copy: Int, digest: Digest)?
        var wholes = 0
        for number in copies.indices where report.withLockedValue({ $0.absent[number] == nil }) {
            do throws(ObjectStoreFailure) {
                // One that was not there when its store was listed may have been put since.
                let bytes = try copies[number].store.get(name, nil)
                note(bytes.count, report)
                if let damage = check.damage(name, bytes) {
                    problems.append((number, .damaged(damage)))
                    continue
                }
                wholes += 1
                if ObjectCheck.isNamedByDigest(name) { continue }
                let digest = Digest(of: bytes.span)
                if let first, first.digest != digest {
                    problems.append((number, .differs(from: copies[first.copy].name)))
                }
                first = first ?? (number, digest)
            } catch {
                if error.cause.isOfTheStore, isAway(copies[number].store) {
                    report.withLockedValue { $0.absent[number] = error }
                    continue
                }
                let isMissing = error.cause == .missing
                problems.append((number, isMissing ? .missing : .unreadable(error.cause)))
            }
        }
        // What is missing everywhere was deleted since it was listed.
        if wholes == 0, problems.allSatisfy({ $0.problem == .missing }) { return [] }
        return problems.map {
            Finding(store: copies[$0.copy].name, name: name.text, problem: $0.problem)
        }
    }

    /// Whether it is the store, and not that one object, that can't be had.
    func isAway(_ store: any ObjectStore) -> Bool {
        (try? store.get(Layout.repository, nil)) == nil
    }

    private func note(_ byteCount: Int, _ report: NIOLockedValueBox<Report>) {
        report.withLockedValue { report in
            report.objectCount += 1
            report.byteCount += UInt64(byteCount)
        }
        tell(.advanced(UInt64(byteCount)))
        pace.wait(for: byteCount)
    }
}

extension Scrub.Finding.Problem: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing: "it is missing"
        case .damaged(let damage): "\(damage)"
        case .unreadable(let cause): "it can't be read: \(cause.words)"
        case .differs(let other):
            "it is not the same as in \(other), and no key was given to tell which of both is whole"
        case .stranger: "nobody knows what it is"
        }
    }
}
