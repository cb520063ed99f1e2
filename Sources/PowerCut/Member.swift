internal import Disk
internal import JournalCore
internal import Mesh
internal import Record
internal import SimulatedDisk
internal import VolumeCore

/// The disks of one member, which lose power together.
struct Disks: Sendable {
    enum Side: String, Sendable, CaseIterable { case log, volumes }

    var log = SimulatedDisk()
    var volumes = SimulatedDisk()

    subscript(side: Side) -> SimulatedDisk {
        get { side == .log ? log : volumes }
        set { if side == .log { log = newValue } else { volumes = newValue } }
    }

    mutating func crash(keeping kept: SimulatedDisk.Kept = .half, using random: inout SeededRandom)
    {
        log.crash(keeping: kept, using: &random)
        volumes.crash(keeping: kept, using: &random)
    }
}

/// The storage of one data member: its journal and its volumes, put together as the agent's threads
/// do it.
struct Member: Sendable {
    static let settings = JournalCore<SimulatedDisk>.Settings(
        cluster: ClusterID(high: 1, low: 2), group: Group.id, segmentByteCount: 32 << 10)
    static let limits: VolumeLimits = {
        var limits = VolumeLimits(pendingByteCountMax: 1 << 20, overlayByteCountMax: 24 << 10)
        limits.sumPagesMax = 1
        limits.resync.pieceByteCountMax = 32 << 10
        limits.resync.windowByteCountMax = 96 << 10
        limits.resync.progressByteCount = 96 << 10
        limits.resync.askTimeout = .milliseconds(100)
        return limits
    }()

    private(set) var journal: JournalCore<SimulatedDisk>
    private(set) var exports: Exports<SimulatedDisk>
    /// What it found at its start.
    let found: LogModel
    /// Handed to the volumes.
    private(set) var handed: LogIndex
    private(set) var mail: [ResyncMessage] = []
    private(set) var now = Instant(nanoseconds: 1)
    /// The last opening that it gave out.
    private(set) var opening = ExportGeneration.none

    /// Starts on `disks`, which on failure are what they have become.
    init(_ disks: inout Disks, random: SeededRandom) throws {
        var (journal, recovered) = try JournalCore.open(
            &disks.log, settings: Self.settings, random: random)
        found = try LogModel(reading: &journal, recovered)
        self.journal = journal
        handed = found.base.position.index
        exports = Exports(
            try VolumeCore(
                recovering: &disks.volumes, limits: Self.limits, logEnd: recovered.last.index))
        try tell(.behind(handed))
    }

    var disks: Disks {
        Disks(log: journal.disk, volumes: exports.core.disk)
    }

    mutating func alter(_ side: Disks.Side, _ alter: (inout SimulatedDisk) -> Void) {
        switch side {
        case .log: journal.alterDisk(alter)
        case .volumes: exports.alterDisk(alter)
        }
    }

    var isResyncing: Bool { exports.core.isResyncing }

    mutating func append(_ change: LogChange) throws { try journal.append([change]) }
    mutating func prepareNext() throws { try journal.prepareNext() }
    mutating func fold() throws { try tell(.fold) }
    mutating func checkpoint() throws { try tell(.checkpoint) }

    /// The log begins behind `index`, by a base that others sent.
    mutating func fallBehind(_ index: LogIndex) throws {
        (handed, mail) = (index, [])
        try tell(.behind(index))
    }

    /// Hands on what is committed of the own log.
    mutating func apply(through committed: LogIndex) throws {
        let end = min(committed, journal.last.index)
        guard handed < end else { return }
        let entries = try journal.entries(from: handed.next, through: end, bytesMax: .max)
        try tell(.apply(entries.map(Group.rule)))
        handed = end
    }

    /// One round of asking and being answered.
    mutating func pull(from group: inout Group) throws {
        now = now + .milliseconds(20)
        try tell(.pull(from: NodeID(2)))
        let asked = mail
        mail = []
        for message in asked {
            for answer in try group.answer(message, at: now) {
                try tell(.heard(answer, from: NodeID(2)))
            }
        }
    }

    /// Becomes primary of `epoch` for a moment.
    mutating func openAndClose(_ epoch: Epoch) throws {
        try tell(.opened(epoch, until: now + .seconds(1)))
        try tell(.closed)
    }

    private mutating func tell(_ event: ExportEvent) throws {
        var effects: [ExportEffect] = []
        try exports.handle(event, at: now, &effects)
        for effect in effects {
            switch effect {
            case .send(let message, _): mail.append(message)
            case .wantsCheckpoint: try tell(.checkpoint)
            case .opened(_, _, let generation, _): opening = max(opening, generation)
            case .refused(let index, let reason):
                throw Broken("entry \(index) changes nothing: \(reason)")
            default: break
            }
        }
    }
}

/// A promise that does not hold.
struct Broken: Error {
    let what: String
    init(_ what: String) { self.what = what }
}
