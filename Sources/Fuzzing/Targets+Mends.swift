internal import JournalCore
internal import Mending
internal import Mesh
internal import Record
internal import SimulatedDisk

extension FuzzTarget {
    static let mends = [
        FuzzTarget("mend", byteCountMax: 512, seeds: { Samples.mends.map(\.encoded) }, body: mend)
    ]

    /// What a peer says of a damaged log is taken only where it is what lacks.
    private static func mend(_ bytes: [UInt8]) throws -> Verdict {
        guard let message = try? MendMessage(parsing: bytes) else { return .refused }
        try promise(message.encoded == bytes, "a message has one encoding")
        let lacking = Samples.entries.map(\.identity)
        var mending = Mending(
            Mending.Settings(peers: [NodeID(2)]),
            Mending.Need(
                entries: lacking, base: nil, basePosition: .zero, commit: LogIndex(1)),
            session: Samples.session, at: .zero)
        mending.hasWholePeer = true
        var effects: [Mending.Effect] = []
        mending.handle(.wake, at: .zero, &effects)
        effects = []
        mending.handle(.received(message, from: NodeID(2)), at: .zero, &effects)
        for case .restore(let entry) in effects {
            try promise(lacking.contains(entry.identity), "only what lacks is restored")
        }
        if case .cut(let index)? = mending.outcome {
            try promise(index > LogIndex(1), "what is committed is not cut")
        }
        return .accepted
    }

    /// A journal that is damaged and can be mended: whatever is made of it opens, or is refused.
    static func mendable(_ disk: SimulatedDisk) throws {
        var disk = disk
        // No sample was drawn from it: a new segment must not get the id of one that is there.
        let random = SeededRandom(seed: 9_713)
        guard
            var mend = (try? LogMend(&disk, settings: journalSettings, random: random)) ?? nil
        else { return }
        try mend.mendHere()
        for entry in mend.damage.missing {
            try promise(try mend.lookUp(entry) == .damaged, "what lacks is given to nobody")
        }
        let (damage, first) = (mend.damage, mend.damage.missing.first)
        disk = mend.close()
        guard damage.base == nil, let first,
            let (journal, found) = try? JournalCore.open(
                &disk, settings: journalSettings, random: random,
                resolving: .cut(before: first.index))
        else { return }
        try promise(found.last.index == first.index.previous, "a log is cut where it says")
        disk = journal.disk
        let again = try JournalCore.open(&disk, settings: journalSettings, random: random)
        try promise(again.recovered.last == found.last, "a log that was cut stays so")
    }
}

extension Samples {
    static let session = MendSession(7)

    static var mends: [MendMessage] {
        let entries = Samples.entries
        let base = BaseIdentity(
            Base(position: Position(index: LogIndex(9), term: Term(2)), contents: [1, 2, 3]))
        return [
            .ask(session, entries.map(\.identity)), .say(session, .lacks, entries.map(\.identity)),
            .say(session, .compacted, entries.prefix(1).map(\.identity)),
            .askBase(atLeast: LogIndex(4), of: .none, offset: 0),
            .basePiece(BasePiece(base: base, offset: 0, bytes: [1, 2, 3])),
        ] + entries.prefix(2).map { .give($0) }
    }
}
