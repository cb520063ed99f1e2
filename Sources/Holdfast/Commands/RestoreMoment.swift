internal import ArgumentParser
internal import FoundationEssentials
internal import Mesh
internal import Record
internal import Repository

/// What a restore brings back: a backup, or a moment between backups, which the archived log leads to.
enum RestoreMoment: Equatable {
    /// The newest one without a number.
    case backup(UInt64?)
    case index(LogIndex)
    /// All entries of up to that time, by the clocks of the leaders.
    case time(WallTime)
    /// As far as the archived log goes.
    case latest

    var isTime: Bool { if case .time = self { true } else { false } }

    /// Whether an entry of that place and time is behind it.
    func isPassed(by entry: Entry) -> Bool {
        switch self {
        case .index(let index): entry.index > index
        case .time(let time): entry.time > time
        case .latest: false
        case .backup: true
        }
    }

    /// Whether no entry behind that one can be in it.
    func isReached(_ position: Position) -> Bool {
        switch self {
        case .index(let index): position.index >= index
        case .backup: true
        case .time, .latest: false
        }
    }

    func isBefore(_ manifest: Manifest) -> Bool {
        switch self {
        case .index(let index): manifest.position.index > index
        case .time(let time): WallTime(manifest.time) > time
        case .latest, .backup: false
        }
    }
}

/// Which backup, or which moment.
struct MomentOptions: ParsableArguments {
    @Argument(help: "The backup's number. Default: the newest.")
    var number: UInt64?
    @Option(
        help:
            "A moment instead of a backup, with its zone, as in 2026-11-30T08:15:00Z; what was written then is in it."
    )
    var atTime: UTCTime?
    @Option(help: "The last entry of the log that is in it, instead of a backup.")
    var atIndex: UInt64?
    @Flag(help: "As far as the log was shipped, instead of a backup.")
    var latest = false

    /// No log has to be replayed.
    var isBackup: Bool { atTime == nil && atIndex == nil && !latest }

    var moment: RestoreMoment {
        if let atTime { return .time(atTime.wall) }
        if let atIndex { return .index(LogIndex(atIndex)) }
        return latest ? .latest : .backup(number)
    }

    func validate() throws {
        let kinds = [number != nil, atTime != nil, atIndex != nil, latest].count { $0 }
        guard kinds <= 1 else {
            throw ValidationError(
                "Give a backup's NUMBER, --at-time, --at-index or --latest: one of them.")
        }
    }
}

/// As in `2026-11-30T08:15:00Z`, with a fraction of a second and another zone if need be: a time without a zone is nobody's.
struct UTCTime: ExpressibleByArgument, Equatable {
    let wall: WallTime

    init?(argument: String) {
        // The library's parser passes over what it does not understand, and takes the 31st of February.
        let shape = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)/
        guard let match = argument.wholeMatch(of: shape) else { return nil }
        let style = Date.ISO8601FormatStyle()
        let day = match.1.prefix(10)
        guard let asUTC = try? style.parse(String(match.1) + "Z"),
            asUTC.formatted(style).hasPrefix(day),
            let date = try? style.parse(String(match.1) + String(match.3)),
            date.timeIntervalSince1970 >= 0, date.timeIntervalSince1970 < 0x2_0000_0000
        else { return nil }
        let fraction = (match.2.map(String.init) ?? "") + String(repeating: "0", count: 9)
        wall = WallTime(
            UInt64(date.timeIntervalSince1970) * 1_000_000_000
                + (UInt64(fraction.prefix(9)) ?? 0))
    }
}
