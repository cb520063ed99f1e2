internal import JournalCore
internal import Mesh
internal import Record
internal import SimulatedDisk

extension FuzzTarget {
    static let files = [
        FuzzTarget(
            "journal", byteCountMax: 2_048, seeds: { try JournalSamples.all() }, body: journal)
    ]

    static let journalSettings = JournalCore<SimulatedDisk>.Settings(
        cluster: Samples.cluster, group: Samples.group, segmentByteCount: 12 << 10, sparesMax: 2)

    /// What opens is a log: all of it can be read, it is found again, and it goes on.
    private static func journal(_ bytes: [UInt8]) throws -> Verdict {
        var input = Input(bytes)
        let mode = Mode(input.byte())
        var files = JournalFiles(&input)
        if mode.seals { files.seal(linking: mode.links) }
        var disk = SimulatedDisk()
        for (name, bytes) in files.named { disk.plant(bytes, as: name) }
        let hurt = disk
        guard let (opened, found) = try? open(&disk) else {
            try mendable(hurt)
            return .refused
        }
        var journal = opened
        try check(&journal, found)
        var again = disk
        let (_, refound) = try open(&again)
        try promise(
            (refound.hardState, refound.base, refound.last)
                == (found.hardState, found.base, found.last)
                && refound.positions == found.positions, "a log is found again as it was")
        // No log comes so far, and none goes on from there.
        if found.last.index < .countMax { try goOn(&journal, found) }
        return found.positions.isEmpty && found.base == .empty ? .refused : .accepted
    }

    private static func open(_ disk: inout SimulatedDisk) throws -> (
        JournalCore<SimulatedDisk>, Recovered
    ) {
        try JournalCore.open(&disk, settings: journalSettings, random: SeededRandom(seed: 1))
    }

    private static func check(_ journal: inout JournalCore<SimulatedDisk>, _ found: Recovered)
        throws
    {
        var before = found.base.position
        for position in found.positions {
            try promise(position.index == before.index.next, "a log has no gap")
            try promise(position.term >= before.term, "terms never fall along a log")
            before = position
        }
        try promise(before == found.last && found.last == journal.last, "a log ends where it says")
        try promise(found.last.index <= .countMax, "a log goes on")
        guard let first = found.positions.first else { return }
        let entries = try journal.entries(
            from: first.index, through: found.last.index, bytesMax: .max)
        try promise(entries.map(\.position) == found.positions, "all of a log can be read")
        for entry in entries {
            try promise(
                try Entry(parsing: entry.bytes) == entry,
                "a record is taken with its own checksum alone")
        }
        let configurations = try journal.configurations(found)
        try promise(
            configurations.allSatisfy { $0.kind == .membership }, "configurations are such")
    }

    private static func goOn(_ journal: inout JournalCore<SimulatedDisk>, _ found: Recovered) throws
    {
        let next = Position(index: found.last.index.next, term: found.last.term)
        let entry = Draft(.blank, epoch: .zero)
            .sealed(at: next, group: Samples.group, time: .zero)
        try journal.append([LogChange(entries: [entry])])
        var disk = journal.disk
        let (_, again) = try open(&disk)
        try promise(again.last == next, "what was appended is found again")
    }
}
