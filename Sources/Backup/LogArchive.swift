package import Mesh
package import Record
package import Repository
package import Sealing

/// A mesh's log as it was shipped to a repository: stretches that follow each other, each named by its first entry.
package struct LogArchive: Sendable {
    /// Where it ends.
    package struct End: Hashable, Sendable {
        package let last: Position
        package let digest: Digest
        /// The leader's wall time at its last entry.
        package let time: WallTime
    }

    private let vault: Vault
    private let cluster: ClusterID
    private let group: GroupID

    package init(_ vault: Vault, cluster: ClusterID, group: GroupID) {
        (self.vault, self.cluster, self.group) = (vault, cluster, group)
    }

    /// The first entries of all stretches, in their order.
    package func firsts() throws(BackupFailure) -> [LogIndex] {
        try vault.list(vault.layout.log(cluster, group))
            .compactMap { Layout.number($0.name).map { LogIndex($0) } }.sorted()
    }

    package func stretch(_ first: LogIndex) throws(BackupFailure) -> StretchObject {
        let name = vault.layout.stretch(cluster, group, first: first)
        return try vault.reading(name) { bytes throws(ObjectDamage) in
            let object = try StretchObject(bytes, for: vault.place(of: bytes))
            let stretch = object.stretch
            guard stretch.cluster == cluster, stretch.group == group, stretch.first == first else {
                throw .contents("it is of another place, or another log")
            }
            return object
        }
    }

    /// nil where nothing was shipped yet.
    package func end() throws(BackupFailure) -> End? {
        guard let first = try firsts().last else { return nil }
        return End(try stretch(first))
    }

    /// The same, once as many copies of it are made as have to be: whoever put it may have come to one store alone.
    func settledEnd() throws(BackupFailure) -> End? {
        guard let first = try firsts().last else { return nil }
        let object = try stretch(first)
        try vault.put(vault.layout.stretch(cluster, group, first: first), object.bytes)
        return End(object)
    }

    /// Makes entries durable that follow `end`, or begin behind `before` where there is none, or none that they follow.
    /// nil where somebody else came first: where the archive ends is to be read again.
    package func append(
        _ entries: [Entry], behind before: Position, after end: End?
    ) throws(BackupFailure) -> End? {
        let object: StretchObject
        do throws(ObjectDamage) {
            object = try StretchObject(
                sealing: entries, behind: before, after: end?.digest ?? .ofNothing,
                cluster: cluster, in: vault.place, random: vault.draw())
        } catch { throw .unreadable(error) }
        let name = vault.layout.stretch(cluster, group, first: object.stretch.first)
        do throws(ObjectStoreFailure) { _ = try vault.store.put(name, object.bytes) } catch {
            guard error.cause == .taken else { throw .store(error) }
            return nil
        }
        return End(object)
    }

    /// The stretches that go on from a backup's place, one after the other. None is sealed by an earlier epoch's key than the
    /// backup, or than the one before it: who has only such a key may have made it.
    package func stretches(
        behind position: Position, at time: WallTime, epoch: KeyEpoch
    ) throws(BackupFailure) -> Stretches {
        Stretches(self, try firsts(), behind: position, at: time, epoch)
    }

    /// Stretches without a gap.
    package struct Stretches {
        private let archive: LogArchive
        /// Those that were not read yet, the next one last.
        private var left: [LogIndex]
        /// The first of all that are there.
        private let begin: LogIndex?
        /// All entries up to here are in the backup, or were given.
        private var reached: Position
        /// The leader's wall time there.
        private var time: WallTime
        private var epoch: KeyEpoch
        private var former: StretchObject?

        fileprivate init(
            _ archive: LogArchive, _ firsts: [LogIndex], behind position: Position,
            at time: WallTime, _ epoch: KeyEpoch
        ) {
            (self.time, self.epoch) = (time, epoch)
            self.archive = archive
            let begin = (firsts.lastIndex { $0 <= position.index.next }) ?? firsts.startIndex
            left = firsts[begin...].reversed()
            self.begin = firsts.first
            reached = position
        }

        /// The entries of the next one that are not in the backup; nil at the archive's end.
        ///
        /// Throws where entries are missing before it, or where it goes on from others than the backup does.
        package mutating func next() throws(BackupFailure) -> [Entry]? {
            while let first = left.popLast() {
                let object = try archive.stretch(first)
                let stretch = object.stretch
                guard first <= reached.index.next else {
                    throw first == begin
                        ? .notKept(since: first, backup: reached)
                        : .gap(after: reached, next: first)
                }
                if let former, !stretch.follows(former) {
                    // Two that shipped at once may have begun anew at two places; one of both goes on.
                    if let other = left.last, other <= reached.index.next { continue }
                    throw .gap(after: former.stretch.last, next: first)
                }
                let name = archive.vault.layout.stretch(
                    archive.cluster, archive.group, first: first)
                guard object.epoch >= epoch else { throw .damaged(name, .noSuccessor) }
                (former, epoch) = (object, object.epoch)
                guard stretch.last.index > reached.index else { continue }
                let entries = try archive.vault.blaming(name) { () throws(ObjectDamage) in
                    try object.entries()
                }
                let fresh = entries.drop { $0.index <= reached.index }
                let own = entries.last { $0.index == reached.index }
                let before = own?.position ?? stretch.before
                // Two logs that went apart may have the same terms: the leader's time tells them apart.
                guard before == reached, own.map({ $0.time == time }) ?? true else {
                    throw .anotherLog(backup: reached, archive: before)
                }
                (reached, time) = (stretch.last, stretch.end)
                return Array(fresh)
            }
            return nil
        }
    }
}

extension Stretch {
    fileprivate func follows(_ former: StretchObject) -> Bool {
        before == former.stretch.last && predecessor == former.digest
    }
}

extension LogArchive.End {
    fileprivate init(_ object: StretchObject) {
        self.init(
            last: object.stretch.last, digest: object.digest, time: object.stretch.end)
    }
}
