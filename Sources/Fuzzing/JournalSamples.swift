internal import JournalCore
internal import Mesh
internal import Record
internal import SimulatedDisk

/// Directories that a journal left.
enum JournalSamples {
    static func all() throws -> [[UInt8]] {
        var (disk, inputs) = (SimulatedDisk(), [[UInt8]]())
        func keep() { inputs.append(input(disk, Mode.sealed)) }
        try reopened(&disk, [])
        try reopened(&disk, [LogChange(entries: Array(Samples.entries[..<3]))])
        keep()
        let vote = HardState(term: Term(2), vote: NodeID(2), commit: LogIndex(3))
        try reopened(&disk, [LogChange(entries: Array(Samples.entries[3...]), hardState: vote)])
        keep()
        // Another leader's entries stand where these did, in a segment of their own.
        try reopened(&disk, [LogChange(entries: blanks(5...6, term: 3))])
        keep()
        try reopened(&disk, [LogChange(base: base(4, term: 2))])
        keep()
        // The log disagrees with the base, and begins anew.
        try reopened(&disk, [LogChange(base: base(9, term: 4), entries: blanks(10...10, term: 4))])
        keep()
        inputs.append(input(disk, Mode.linked))
        return inputs
    }

    private static func reopened(_ disk: inout SimulatedDisk, _ changes: [LogChange]) throws {
        // Other numbers each time, or two segments would have one id.
        var (journal, _) = try JournalCore.open(
            &disk, settings: FuzzTarget.journalSettings,
            random: SeededRandom(seed: UInt64(disk.counts.steps) + 2))
        try journal.append(changes)
        disk = journal.disk
    }

    private static func blanks(_ indexes: ClosedRange<UInt64>, term: UInt64) -> [Entry] {
        indexes.map { index in
            Draft(.blank, epoch: .zero).sealed(
                at: Position(index: LogIndex(index), term: Term(term)), group: Samples.group,
                time: .zero)
        }
    }

    private static func base(_ index: UInt64, term: UInt64) -> Base {
        Base(
            position: Position(index: LogIndex(index), term: Term(term)),
            contents: Array("what stands for the entries".utf8))
    }

    private static func input(_ disk: SimulatedDisk, _ mode: UInt8) -> [UInt8] {
        var files = JournalFiles()
        for kind in JournalFiles.Kind.allCases {
            for number in 0..<UInt64(15) {
                guard let bytes = disk.contents(of: kind.name(number)) else { continue }
                files.files.append(.init(kind: kind, number: number, bytes: bytes))
            }
        }
        return files.encoded(mode: mode)
    }
}
