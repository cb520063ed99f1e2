package import Mesh
package import Repository
internal import Sealing

/// Who writes to the repository, and counts on what lies there. All of it is in the store: whoever collects has to see it.
///
/// docs/adr/0013-collection.md.
package struct Sessions: Sendable {
    /// How often another writer may take the next number.
    static let triesMax = 16
    let vault: Vault

    package init(_ vault: Vault) { self.vault = vault }

    /// A session that did not end, as far as the store knows.
    package struct Open: Hashable, Sendable {
        package let number: UInt64
        /// nil where what it said can't be read.
        package let writer: String?
        package let since: WallTime?
        /// The newest collection of which its writer knew when it began; 0 where it is not known.
        package let collection: UInt64
        /// Whether it may be just about to put its manifest.
        package let commits: Bool
    }

    /// Those that did not end, and what is known of them. Who deletes believes no end that its writer did not seal: `isStrict`.
    package func open(isStrict: Bool = false) throws(BackupFailure) -> [Open] {
        let stages = try stages()
        var open: [Open] = []
        for (number, stages) in stages.sorted(by: { $0.key < $1.key }) where stages.contains(.begun)
        {
            if stages.contains(.ended) {
                guard isStrict, try !hasEnded(number) else { continue }
            }
            let commits = stages.contains(.decided) ? try commits(number) : false
            guard let commits else { continue }
            open.append(begun(number, commits: commits))
        }
        return open
    }

    func stages() throws(BackupFailure) -> [UInt64: Set<Stage>] {
        try vault.inventory(of: vault.layout.sessions).sessions
    }

    /// Whether its last object is what it seems: a copy of another one needs no key.
    private func hasEnded(_ number: UInt64) throws(BackupFailure) -> Bool {
        let name = vault.layout.session(number, .ended)
        guard try vault.find(name) != nil else { return true }
        let said: SessionStatement? = try? vault.statement(name)
        guard let said, said.session == number, case .ended = said.step else { return false }
        return true
    }

    /// nil where it was given up. One that can't be read may commit.
    private func commits(_ number: UInt64) throws(BackupFailure) -> Bool? {
        let name = vault.layout.session(number, .decided)
        // It was cleared away since it was listed: only what is over is.
        guard try vault.find(name) != nil else { return nil }
        let said: SessionStatement? = try? vault.statement(name)
        guard let said, said.session == number, case .givenUp = said.step else { return true }
        return nil
    }

    private func begun(_ number: UInt64, commits: Bool) -> Open {
        let said: SessionStatement? = try? vault.statement(vault.layout.session(number, .begun))
        guard let said, said.session == number,
            case .begun(let writer, let collection, let time) = said.step
        else {
            return Open(
                number: number, writer: nil, since: nil, collection: 0, commits: commits)
        }
        return Open(
            number: number, writer: writer, since: time, collection: collection, commits: commits)
    }

    /// Begins one, before anything is read that is counted on. `writer` names who writes one backup at a time: what it left
    /// open is over.
    package func begin(_ writer: String, at time: WallTime) throws(BackupFailure) -> Session {
        let known = try Collections(vault).newest()?.number ?? 0
        let number = try putBegun(writer, known, time)
        try endEarlier(of: writer, than: number)
        return Session(
            vault: vault, number: number, doomed: try Collections(vault).tombstones())
    }

    private func putBegun(
        _ writer: String, _ known: UInt64, _ time: WallTime
    ) throws(BackupFailure) -> UInt64 {
        var number = try stages().keys.max() ?? 0
        for _ in 0..<Self.triesMax {
            number += 1
            let step = SessionStatement.Step.begun(writer: writer, collection: known, at: time)
            guard let said = SessionStatement(number, step) else {
                throw .volume("no writer has a name of \(writer.utf8.count) bytes")
            }
            // The same bytes would be those of a clone, whose session it is.
            if try vault.put(first: said, as: vault.layout.session(number, .begun), onlyAnew: true)
            {
                return number
            }
        }
        throw .overtaken(tries: Self.triesMax)
    }

    private func endEarlier(of writer: String, than number: UInt64) throws(BackupFailure) {
        for open in try open() where open.number < number && open.writer == writer {
            try settle(open.number, "its writer began session \(number)", commitsToo: true)
        }
    }

    /// Says that a session is over, because its writer can't be there any more. One that was about to put its manifest is
    /// believed to be over only where `commitsToo`: nobody could hold its writer back if it were there.
    package func end(
        _ number: UInt64, why: String, commitsToo: Bool
    ) throws(BackupFailure) {
        guard try open().contains(where: { $0.number == number }) else {
            throw .refused("there is no open session \(number)")
        }
        try settle(number, why, commitsToo: commitsToo)
    }

    private func settle(
        _ number: UInt64, _ why: String, commitsToo: Bool
    ) throws(BackupFailure) {
        guard let said = SessionStatement(number, .givenUp(why: why)) else {
            throw .refused("a reason has at most \(SessionStatement.textByteCountMax) bytes")
        }
        // From here on its writer can't commit, should it be there after all.
        if try vault.put(first: said, as: vault.layout.session(number, .decided)) { return }
        guard try commits(number) == true else { return }
        guard commitsToo else {
            throw .refused(
                "session \(number) may be putting its manifest in this moment: its writer has to be dead"
            )
        }
        try vault.put(ended: number, manifest: 0)
    }
}

/// A session that was begun. It ends with `end`, or is given up.
package struct Session: Sendable {
    private let vault: Vault
    package let number: UInt64
    /// What is about to be deleted: nothing of it is counted on.
    let doomed: CollectionStatement.Names

    fileprivate init(vault: Vault, number: UInt64, doomed: CollectionStatement.Names) {
        (self.vault, self.number, self.doomed) = (vault, number, doomed)
    }

    /// Makes a backup, and ends the session with it.
    package func ending(
        _ make: () throws(BackupFailure) -> ManifestObject
    ) throws(BackupFailure) -> ManifestObject {
        let made: ManifestObject
        do throws(BackupFailure) { made = try make() } catch {
            // Where it committed, the manifest may be on its way even now: the session stays open.
            giveUp("\(error)")
            throw error
        }
        // It is a backup, whether this is said or not: its writer's next session says it otherwise.
        try? end(made.manifest.sequence)
        return made
    }

    /// The last moment at which somebody else can have ended it.
    package func commits() throws(BackupFailure) {
        guard let said = SessionStatement(number, .commits) else { return }
        guard try vault.put(first: said, as: vault.layout.session(number, .decided)) else {
            throw .refused(
                "somebody ended session \(number) of this backup meanwhile, so what it counts on may "
                    + "be gone: it is no backup; make another one")
        }
        // Who was given up is cleared away in time, and with it what held this back: then the beginning is gone too.
        guard try vault.find(vault.layout.session(number, .begun)) != nil else {
            throw .refused(
                "session \(number) of this backup was ended and cleared away meanwhile, so what it counts "
                    + "on may be gone: it is no backup; make another one")
        }
    }

    /// What was put is counted on by its manifest now.
    package func end(_ manifest: UInt64) throws(BackupFailure) {
        try vault.put(ended: number, manifest: manifest)
    }

    /// It will put no manifest. Where the store does not take even that, its writer's next session says it.
    package func giveUp(_ why: String) {
        let words = String(why.prefix(SessionStatement.textByteCountMax / 4))
        guard let said = SessionStatement(number, .givenUp(why: words)) else { return }
        _ = try? vault.put(first: said, as: vault.layout.session(number, .decided))
    }
}

extension Vault {
    fileprivate func put(ended number: UInt64, manifest: UInt64) throws(BackupFailure) {
        guard let said = SessionStatement(number, .ended(manifest: manifest)) else { return }
        _ = try put(first: said, as: layout.session(number, .ended))
    }

    /// Puts what was not said before; false where something has that name. What is there already, byte for byte, was put
    /// by this very call, whose first answer was lost: a statement's seal is of its own chance. Only where a clone that
    /// draws the same must not have it too, `onlyAnew`, that is somebody else's.
    func put(
        first said: some Statement, as name: ObjectName, onlyAnew: Bool = false
    ) throws(BackupFailure) -> Bool {
        let bytes: [UInt8]
        do throws(ObjectDamage) { bytes = try said.sealed(in: place, random: draw()) } catch {
            throw .unreadable(error)
        }
        do throws(ObjectStoreFailure) {
            return try store.put(name, bytes) == .stored || !onlyAnew
        } catch {
            guard error.cause == .taken else { throw .store(error) }
            return false
        }
    }

    func statement<Said: Statement>(_ name: ObjectName) throws(BackupFailure) -> Said {
        try reading(name) { bytes throws(ObjectDamage) in try Said(bytes, for: place(of: bytes)) }
    }

    /// What is known of what lies in that part of the tenant's. Whoever deletes looks at all of it, too (`Survey`).
    func inventory(of part: ObjectName) throws(BackupFailure) -> Inventory {
        do throws(ObjectStoreFailure) {
            return Inventory(knownOf: try store.list(part), of: layout)
        } catch { throw .store(error) }
    }
}
