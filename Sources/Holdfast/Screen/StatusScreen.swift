internal import Admin

/// The status as one screen. A pure function of the report, the time and the room there is.
struct StatusScreen: Sendable {
    static let widthDefault = 80
    static let heightDefault = 24
    /// Below it nothing can be laid out, so more is taken than there is.
    static let widthMin = 40
    private static let alarmsMax = 3

    let report: StatusReport
    /// Unix seconds.
    let now: UInt64
    let width: Int
    /// nil where lines cost nothing, as in a pipe.
    let height: Int?

    init(_ report: StatusReport, now: UInt64, width: Int, height: Int?) {
        self.report = report
        self.now = now
        self.width = max(width, Self.widthMin)
        self.height = height
    }

    var lines: [Line] {
        let above = head + [Line("")] + members + [Line("")]
        let below = [Line("")] + alarms + takeover
        let rows = height.map { max($0 - above.count - below.count - 1, 1) }
        let all = above + volumes(rowsMax: rows) + below
        guard let height, all.count > height else { return all }
        return all.prefix(height - 1) + [Line("(the window is too low for the rest)", .faint)]
    }

    private var head: [Line] {
        let verdict = Verdict(of: report)
        let up = now > report.startedAt ? Words.seconds(now - report.startedAt) : "0s"
        let identity =
            "node \(report.node), \(report.region) (\(report.role.rawValue))   cluster "
            + "\(report.cluster.prefix(8))   holdfast \(report.version)   up \(up)"
        return verdict.text.wrapped(to: width, indent: 2).map { Line($0, verdict.tone) }
            + [Line(identity.clipped(to: width), .faint)]
    }

    private var members: [Line] {
        var table = Table([
            ("REGION", .left), ("NODE", .right), ("ROLE", .left), ("STATE", .left),
            ("LINK", .left), ("ROUND TRIP", .right), ("BEHIND", .left),
        ])
        for member in report.members {
            table.add(
                [
                    member.region, "\(member.node)", role(of: member), member.liveness.rawValue,
                    member.isSelf ? "-" : member.linkUp ? "up" : "down",
                    member.roundTripMicroseconds.map(Words.microseconds) ?? "-",
                    Self.lag(of: member),
                ], tone(of: member))
        }
        return table.lines(width: width)
            + (report.wish?.words.wrapped(to: width, indent: 2).map { Line($0, .warning) } ?? [])
            + (report.level?.words?.wrapped(to: width, indent: 2).map { Line($0, .warning) } ?? [])
    }

    private func role(of member: MemberReport) -> String {
        let isNamed = report.primary?.node == member.node
        // Whoever is not heard, or hears too few, may have lost the seat since.
        let isCertain = report.quorum.isReached && member.isHeard
        let role = isNamed ? isCertain ? "primary" : "was primary" : member.role.rawValue
        let leadsAlone = report.leader == member.node && report.primary?.node != member.node
        return leadsAlone ? "\(role), leads" : role
    }

    private func tone(of member: MemberReport) -> Line.Tone {
        guard member.counts else { return .faint }
        return switch member.liveness {
        case .dead, .left: .bad
        case .suspect: .warning
        case .alive: member.linkUp && member.resync == nil ? .plain : .warning
        case .self: member.resync == nil ? .plain : .warning
        }
    }

    static func lag(of member: MemberReport) -> String {
        if member.lostIndex != nil { return "lost writes" }
        if let resync = member.resync {
            guard let percent = resync.percent, let left = resync.bytesLeft else { return "resync" }
            return "resync \(percent) %, \(Words.bytes(left)) left"
        }
        guard let entries = member.lagEntries else { return member.role == .witness ? "-" : "?" }
        guard entries > 0 else { return "nothing" }
        let bytes = member.lagBytes.map { ", \(Words.bytes($0))" } ?? ""
        return counted(entries, "entry", "entries") + bytes
    }

    private func volumes(rowsMax: Int?) -> [Line] {
        if report.role == .witness { return [Line("VOLUMES none: a witness keeps none")] }
        guard !report.volumes.isEmpty else {
            return [Line("VOLUMES none: make one with `holdfast volume create`")]
        }
        let all = Self.table(of: report.volumes, withSockets: false).lines(width: width)
        guard let rowsMax, report.volumes.count > rowsMax else { return all }
        let kept = max(rowsMax - 1, 0)
        let rest = Line("+ \(report.volumes.count - kept) more: holdfast volume list", .faint)
        return all.prefix(kept + 1) + [rest]
    }

    static func table(of volumes: [VolumeReport], withSockets: Bool) -> Table {
        let columns: [(String, Table.Side)] = [
            ("VOLUME", .left), ("SIZE", .right), ("MODE", .left), ("STATE", .left),
            ("CLIENTS", .right), ("UNCOMMITTED", .right),
        ]
        var table = Table(columns + (withSockets ? [("SOCKET", .left)] : []))
        for volume in volumes {
            let cells = [
                volume.name, Words.bytes(volume.byteCount), volume.mode.rawValue,
                (volume.isOpen ? "open" : "closed")
                    + (volume.damagedBlocks > 0 ? ", damaged" : ""), "\(volume.clients)",
                Words.bytes(volume.pendingBytes),
            ]
            table.add(cells + (withSockets ? [volume.socket ?? "-"] : []))
        }
        return table
    }

    private var alarms: [Line] {
        guard !report.alarms.isEmpty else { return [Line("ALARMS none")] }
        let shown = height == nil ? report.alarms.count : Self.alarmsMax
        let lines = report.alarms.prefix(shown).flatMap { Self.lines(of: $0, width: width) }
        let rest = report.alarms.count - shown
        return lines + (rest > 0 ? [Line("+ \(rest) more: holdfast status -o json", .faint)] : [])
    }

    static func lines(of alarm: Alarm, width: Int) -> [Line] {
        let text = "\(alarm.severity.rawValue.uppercased()) \(alarm.code): \(alarm.text)"
        return text.wrapped(to: width, indent: 2).map { Line($0, tone(alarm.severity)) }
            + "  do: \(alarm.remedy)".indented(to: width)
    }

    private static func tone(_ severity: Alarm.Severity) -> Line.Tone {
        switch severity {
        case .critical: .bad
        case .warning: .warning
        case .info: .plain
        }
    }

    private var takeover: [Line] {
        guard let last = report.takeovers.last else { return [Line("LAST TAKEOVER none")] }
        let seconds = last.at / 1_000
        let age = now > seconds ? Words.seconds(now - seconds) : "0s"
        let way =
            last.reason == .restart
            ? "\(last.to) is primary again" : last.from.map { "\($0) -> \(last.to)" } ?? last.to
        let what =
            "LAST TAKEOVER \(last.reason.rawValue), epoch \(last.epoch): \(way), \(age) ago"
        let sum = "  \(Words.time(unixSeconds: seconds)), \(Self.duration(of: last))"
        return what.wrapped(to: width, indent: 2).map { Line($0) } + sum.indented(to: width)
    }

    /// Only the node that took over measured how long it took.
    private static func duration(of takeover: TakeoverReport) -> String {
        guard !takeover.phases.isEmpty else { return "its length is known to \(takeover.to)" }
        let total = takeover.phases.reduce(0) { $0 + $1.milliseconds }
        let phases = takeover.phases.map {
            "\($0.name) \(Words.milliseconds($0.milliseconds))".replacing(" ", with: "\u{a0}")
        }
        return "\(Words.milliseconds(total)) in all: " + phases.joined(separator: ", ")
    }
}

extension String {
    /// Wrapped, with every line as far in as the first.
    fileprivate func indented(to width: Int) -> [Line] {
        let depth = prefix { $0 == " " }.count
        let lines = String(dropFirst(depth)).wrapped(to: width - depth)
        return lines.map { Line(String(repeating: " ", count: depth) + $0) }
    }
}
