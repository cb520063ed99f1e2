internal import Admin

/// The mesh's state in one sentence: what somebody woken at three in the morning reads first.
struct Verdict: Hashable, Sendable {
    enum State: String, Hashable, Sendable {
        case ok = "OK"
        case degraded = "DEGRADED"
        case takingOver = "TAKING OVER"
        case noQuorum = "NO QUORUM"
    }

    let state: State
    let sentence: String

    var text: String { "\(state.rawValue): \(sentence)" }
    var tone: Line.Tone {
        switch state {
        case .ok: .good
        case .degraded, .takingOver: .warning
        case .noQuorum: .bad
        }
    }

    init(of report: StatusReport) {
        let quorum = report.quorum
        guard quorum.isReached else {
            let absent = Self.absences(report)
            let who = absent.isEmpty ? "" : "; \(Words.list(absent))"
            state = .noQuorum
            sentence =
                "node \(report.node) reaches \(quorum.reachable) of "
                + "\(counted(quorum.voters, "voter")) and \(counted(quorum.needed, "is", "are")) needed: "
                + "nothing can be written\(who)"
            return
        }
        if let why = Self.vacancy(report) {
            (state, sentence) = (.takingOver, why)
            return
        }
        let troubles = Self.doubts(report) + Self.absences(report) + Self.troubles(report)
        let members = report.members.filter(\.counts)
        let up = members.filter(\.isUp).count
        // A witness votes on entries and does not read them.
        let place =
            report.primary.map { "\($0.region) is primary (epoch \($0.epoch))" }
            ?? "a witness does not know the primary"
        let nodes = "\(up) of \(counted(members.count, "node"))"
        let base = "\(place), \(nodes), quorum \(quorum.needed)"
        state = troubles.isEmpty ? .ok : .degraded
        sentence = base + (troubles.isEmpty ? Self.lagWords(report) : "; " + Words.list(troubles))
    }

    /// Why nobody serves at this moment; nil when the primary does.
    private static func vacancy(_ report: StatusReport) -> String? {
        guard let primary = report.primary else { return vacancyWithoutPrimary(report) }
        let name = "\(primary.region) (epoch \(primary.epoch))"
        let member = report.members.first { $0.node == primary.node }
        if let member, !member.isHeard {
            return "\(name) \(member.liveness.verb); another region is becoming primary"
        }
        guard let leader = report.leader else { return "no leader is elected; \(name) was primary" }
        if primary.node == report.node, !primary.acting {
            return "\(name) does not hold its lease and serves nothing until it does"
        }
        if leader != primary.node, primary.leaseSeen == false {
            return "node \(leader) leads, \(name) does not, and its lease \(renewal(primary)); "
                + "nobody serves until one region does both"
        }
        return nil
    }

    private static func vacancyWithoutPrimary(_ report: StatusReport) -> String? {
        guard let leader = report.leader else { return "no leader is elected" }
        if report.role == .witness {
            return leader == report.node ? "this witness leads until a data member can" : nil
        }
        guard let last = report.takeovers.last else {
            return "no region is primary yet; the first one is being chosen"
        }
        return "\(last.to) gave the seat up (epoch \(last.epoch)); the next region is taking it"
    }

    private static func renewal(_ primary: PrimaryReport) -> String {
        guard let age = primary.renewedMilliseconds else {
            return "was never seen renewed by this node"
        }
        let words = age < 10_000 ? "\(age) ms" : Words.seconds(age / 1_000)
        return "was last seen renewed \(words) ago"
    }

    /// Only who leads can renew a lease, so a primary that does not lead is about to stop.
    private static func doubts(_ report: StatusReport) -> [String] {
        guard let primary = report.primary, let leader = report.leader else { return [] }
        if leader != primary.node {
            return ["node \(leader) leads, so \(primary.region) cannot renew its lease"]
        }
        return primary.leaseSeen == false ? ["its lease \(renewal(primary))"] : []
    }

    private static func absences(_ report: StatusReport) -> [String] {
        report.members.filter { !$0.isUp && $0.counts }.map { member in
            "\(member.region) (node \(member.node)) \(member.liveness.verb)"
        }
    }

    private static func troubles(_ report: StatusReport) -> [String] {
        let unlinked = report.members.filter {
            $0.isUp && !$0.isSelf && !$0.linkUp && $0.counts
        }
        let late = report.members.filter {
            $0.isUp && $0.lagEntries ?? 0 > MemberReport.lagTolerated
        }
        let serves = report.primary?.acting == true
        let closed = report.volumes.filter { serves && !$0.isOpen }
        let alarms = report.alarms.filter { $0.severity != .info }
        return unlinked.map { "no link to \($0.region)" }
            + report.members.filter { $0.lostIndex != nil }.map { "\($0.region) lost writes" }
            + report.members.filter { $0.resync != nil && $0.counts }.map {
                "\($0.region) copies what it missed"
            }
            + late.map { "\($0.region) lags \($0.lagEntries ?? 0) entries behind" }
            + closed.map { "volume \($0.name) is closed" }
            + (alarms.isEmpty ? [] : [counted(alarms.count, "alarm")])
    }

    /// Only the leader knows how far the others are, and a new one not before they answer.
    private static func lagWords(_ report: StatusReport) -> String {
        guard report.leader == report.node else {
            return report.leader.map { ", lag known to node \($0)" } ?? ""
        }
        let unknown = report.members.filter { $0.role == .data && $0.isUp && $0.lagEntries == nil }
        guard unknown.isEmpty else {
            return ", lag of \(Words.list(unknown.map(\.region))) not known yet"
        }
        return ", nothing lagging"
    }
}

extension MemberReport.Liveness {
    /// As in "node 2 has left".
    fileprivate var verb: String { self == .left ? "has left" : "is \(rawValue)" }
}

extension MemberReport {
    var isUp: Bool { liveness == .alive || liveness == .self }
    /// One that is only suspected may act all the same.
    var isHeard: Bool { isUp || liveness == .suspect }
}
