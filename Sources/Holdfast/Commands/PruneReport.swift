internal import Admin
internal import Backup
internal import Mesh
internal import Repository
internal import Retention

/// What a prune did, or would do.
struct PruneReport: Encodable {
    struct Backup: Encodable {
        let number: UInt64
        let unixMilliseconds: UInt64
        /// Never empty for one that stays.
        let keptBy: [String]
        let goes: String?
    }
    struct Collection: Encodable {
        let collection: UInt64
        let backups: Int
        let indexes: Int
        let packs: Int
        let bytes: Int
    }
    struct Session: Encodable {
        let session: UInt64
        let writer: String?
        let sinceUnixMilliseconds: UInt64?
    }

    let dryRun: Bool
    let backups: [Backup]
    /// What nothing leads to that stays, with what only the backups that go lead to.
    let dead: Collection?
    /// Dead bytes in packs that are needed for the rest of what they hold.
    let leftBytes: Int?
    let ended: [Collection]
    /// Stretches of the log, and their bytes: those that go, or went.
    let stretches: Int
    let stretchBytes: Int
    /// Nothing is deleted before these have ended.
    let waitsFor: [Session]

    init(would plan: Collector.Plan, while open: [Sessions.Open]) {
        self.init(dryRun: true, plan, [], open, spent: plan.spent.count)
    }

    init(_ pruned: Collector.Pruned) {
        self.init(
            dryRun: false, pruned.plan, pruned.swept, pruned.waitsFor, spent: pruned.spentCount)
    }

    private init(
        dryRun: Bool, _ plan: Collector.Plan?, _ swept: [Collector.Swept],
        _ open: [Sessions.Open], spent: Int
    ) {
        self.dryRun = dryRun
        (stretches, stretchBytes) = (spent, spent > 0 ? plan?.spentByteCount ?? 0 : 0)
        backups = plan?.backups.map(Backup.init) ?? []
        dead = plan.map { Collection(0, $0.dead, $0.deadByteCount) }
        leftBytes = plan?.leftByteCount
        ended = swept.map { Collection($0.collection, $0.deleted, $0.byteCount) }
        waitsFor = open.map {
            Session(
                session: $0.number, writer: $0.writer,
                sinceUnixMilliseconds: $0.since.map { $0.rawValue / 1_000_000 })
        }
    }
}

extension PruneReport.Backup {
    fileprivate init(_ fated: Collector.Fated) {
        number = fated.manifest.sequence
        unixMilliseconds = fated.manifest.time / 1_000_000
        switch fated.fate {
        case .kept(let reasons): (keptBy, goes) = (reasons.map(\.description), nil)
        case .goes(let loss): (keptBy, goes) = ([], "\(loss)")
        }
    }

    fileprivate var time: String { Words.time(unixSeconds: unixMilliseconds / 1_000) }
}

extension PruneReport.Collection {
    fileprivate init(_ number: UInt64, _ names: CollectionStatement.Names, _ bytes: Int) {
        (collection, self.bytes) = (number, bytes)
        (backups, indexes) = (names.manifests.count, names.indexes.count)
        packs = names.packs.count
    }

    fileprivate var words: String {
        "\(counted(backups, "backup")), \(counted(packs, "pack")), \(Words.bytes(UInt64(bytes)))"
    }
}

extension PruneReport {
    var lines: [Line] {
        var lines = dryRun ? table : []
        lines += ended.map { Line("deleted: \($0.words)", .good) }
        lines += waitsFor.map { session in
            let since = session.sinceUnixMilliseconds.map {
                ", since \(Words.time(unixSeconds: $0 / 1_000))"
            }
            return Line(
                "session \(session.session) is open: \(session.writer ?? "it can't be read")"
                    + (since ?? ""), .warning)
        }
        if stretches > 0 {
            let what =
                "\(counted(stretches, "stretch", "stretches")) of the log, \(Words.bytes(UInt64(stretchBytes)))"
            lines.append(dryRun ? Line("would delete: \(what)") : Line("deleted: \(what)", .good))
        }
        if dryRun, let dead {
            lines.append(Line("would delete: \(dead.words)"))
        } else if !waitsFor.isEmpty {
            lines.append(
                Line("nothing is deleted before these backups have ended: ask again then", .warning)
            )
        } else if ended.isEmpty, stretches == 0 {
            lines.append(Line("nothing can go", .good))
        }
        if let leftBytes, leftBytes > 0 {
            let left = Words.bytes(UInt64(leftBytes))
            lines.append(Line("\(left) stay that nothing needs, in packs that are needed"))
        }
        return lines
    }

    private var table: [Line] {
        guard !backups.isEmpty else { return [Line("there are no backups")] }
        var table = Table([("NUMBER", .right), ("TIME", .left), ("", .left), ("WHY", .left)])
        for backup in backups {
            let why = backup.goes ?? backup.keptBy.joined(separator: ", ")
            table.add(
                ["\(backup.number)", backup.time, backup.goes == nil ? "stays" : "goes", why],
                backup.goes == nil ? .plain : .warning)
        }
        return table.lines()
    }
}
