import Admin
import Control
import Decisions
import Driver
import Journal
import Launch
import Mesh
import Node
import Raft
import Record
import Settings
import VolumeCore
import Volumes
import Wire

/// What an operator can ask of this node.
struct AgentDoor: AdminDoor {
    let current: CurrentSettings
    let board: Switchboard
    let parts: Switchboard.Parts
    let exports: NBDServer
    let keeper: AlarmKeeper
    let startedAt: UInt64
    /// nil where the node's file names no repository.
    let backups: BackupDesk?
    /// nil where it does not ship its log.
    let shipper: LogShipper?
    let scrub: ScrubDesk?

    var settings: AgentSettings { current.value }

    var view: NodeView {
        let now = BootClock.now
        return parts.driver.inspect { NodeView($0, now: now) }
    }

    func createVolume(_ request: Admin.VolumeRequest) async throws(AdminRefused)
        -> Admin.VolumeReport
    {
        let answer = await ask(
            .command(
                .createVolume(
                    name: request.name, byteCount: request.byteCount,
                    durability: request.mode == .sync ? .sync : .async)))
        guard case .created(let volume) = try outcome(answer, doing: "create \(request.name)")
        else { throw .node(.mishap(why: "an answer to another question")) }
        return report(volume, exports.status.first { $0.name == volume.name })
    }

    func growVolume(
        named name: String, _ growth: VolumeGrowth
    ) async throws(AdminRefused) -> Admin.VolumeReport {
        let known = try volume(named: name)
        let answer = await ask(.command(.growVolume(known.id, byteCount: growth.byteCount)))
        guard case .grown(let volume) = try outcome(answer, doing: "grow \(name)")
        else { throw .node(.mishap(why: "an answer to another question")) }
        await awaitLength(volume.byteCount, of: volume.name)
        return report(volume, exports.status.first { $0.name == volume.name })
    }

    func volume(named name: String) throws(AdminRefused) -> Volume {
        let volumes = view.volumes
        guard let known = volumes.first(where: { $0.name == name }) else {
            throw .volume(.unknown(name: name, known: volumes.map(\.name).sorted()))
        }
        return known
    }

    /// Whoever connects behind the answer finds the volume so long, where it is served here.
    private func awaitLength(_ byteCount: UInt64, of name: String) async {
        let end = BootClock.now + Self.lengthWaitMax
        while BootClock.now < end,
            let served = exports.status.first(where: { $0.name == name }),
            served.byteCount < byteCount
        { try? await Task.sleep(for: .milliseconds(5)) }
    }
    private static let lengthWaitMax = Interval.seconds(5)

    func deleteVolume(named name: String) async throws(AdminRefused) {
        let view = view
        let open = exports.status
        let reports = view.volumes.map { volume in
            report(volume, open.first { $0.name == volume.name })
        }
        let victim = try VolumeDeletion(
            quorum: quorum(view), actsHere: view.isActing, primary: incumbent(view),
            volumes: reports
        ).admit(name)
        let answer = await ask(.command(.deleteVolume(VolumeID(victim.id))))
        _ = try outcome(answer, doing: "delete \(name)")
    }

    private func incumbent(_ view: NodeView) -> VolumeDeletion.Incumbent? {
        view.tenure.primary.map { primary in
            VolumeDeletion.Incumbent(
                region: primary.region.text,
                isHeard: primary.node == settings.member.id || view.hears(primary.node))
        }
    }

    func switchover(to region: String) async throws(AdminRefused) -> SwitchoverReport {
        let known = settings.cluster.dataMembers.map(\.region.text)
        guard let name = RegionName(region), known.contains(region) else {
            throw .region(.unknown(name: region, known: known))
        }
        if case .held(let primary, _) = view.tenure, primary.region == name {
            throw .region(.isPrimary(name: region))
        }
        let began = BootClock.now
        let answer = await ask(.switchOver(name))
        switch answer {
        case .primary(let primary):
            let took = BootClock.now.since(began)
            return SwitchoverReport(
                epoch: primary.epoch.rawValue, region: primary.region.text,
                milliseconds: took.nanoseconds / 1_000_000)
        case .declined(let why): throw .region(.notReady(name: region, why: why))
        case .done, .unknown, .busy:
            _ = try outcome(answer, doing: "switch over to \(region)")
            throw .node(.mishap(why: "an answer to another question"))
        }
    }

    func ask(_ operation: Node.Operation) async -> Node.Answer {
        await board.answers.wait { parts.driver.post(.operate($0, operation)) }
    }

    func outcome(_ answer: Node.Answer, doing: String) throws(AdminRefused) -> Outcome {
        switch answer {
        case .done(.refused(let refusal)): throw AdminRefused(refusal)
        case .done(let outcome): return outcome
        case .declined(let why): throw .mesh(.levelTooLow(why: why))
        case .primary: throw .node(.mishap(why: "an answer to another question"))
        case .busy(let limit): throw .node(.busy(doing: "answering \(limit) requests already"))
        case .unknown:
            let view = view
            let reachable = view.reachable(from: settings.member.id)
            guard reachable >= view.membership.voters.quorum else {
                throw .mesh(
                    .noQuorum(reachable: reachable, needed: view.membership.voters.quorum))
            }
            throw .mesh(.timedOut(doing: doing, seconds: 10))
        }
    }

    func clearAlarm(named code: String) async throws(AdminRefused) -> AlarmClearing {
        defer { parts.driver.post(.announce(keeper.bulletin)) }
        return try await keeper.clear(named: code)
    }

    func log(_ query: LogQuery) async throws(AdminRefused) -> LogReport {
        guard let held = parts.keeper.held else { throw .node(.stopping) }
        let first = held.base.index.next
        let base = PositionReport(
            index: held.base.index.rawValue, term: held.base.term.rawValue)
        guard
            let range = try query.admitted(
                first: first.rawValue, last: held.last.index.rawValue)
        else {
            return LogReport(
                base: base, first: first.rawValue, last: held.last.index.rawValue, entries: [])
        }
        var entries: [EntryReport] = []
        var next = LogIndex(range.lowerBound)
        while next.rawValue <= range.upperBound {
            let read = try await read(from: next, through: LogIndex(range.upperBound))
            guard let last = read.last else { break }
            entries += read.map(EntryReport.init)
            next = last.index.next
        }
        return LogReport(
            base: base, first: first.rawValue, last: held.last.index.rawValue, entries: entries)
    }

    /// A little at a time: reads and saves share one queue, and a leader that does not save is
    /// taken for stalled.
    private func read(
        from first: LogIndex, through last: LogIndex
    ) async throws(AdminRefused) -> [Entry] {
        let keeper = parts.keeper
        let result = await withCheckedContinuation { continuation in
            keeper.read(from: first, through: last, bytesMax: Self.readBytesMax) {
                continuation.resume(returning: $0)
            }
        }
        switch result {
        case .success(let entries): return entries
        case .failure(let error): throw .node(.mishap(why: "\(error)"))
        }
    }

    private static var readBytesMax: Int { 1 << 20 }
}

extension AdminRefused {
    init(_ refusal: Refusal) {
        switch refusal {
        case .volumeExists(let name): self = .volume(.exists(name: name))
        case .volumeUnknown(let id): self = .volume(.unknown(name: "\(id)", known: []))
        case .volumeName(let name):
            self = .volume(
                .nameUnlawful(
                    name: name,
                    expected: "1 to \(Decisions.volumeNameBytesMax) of a-z 0-9 . _ -, beginning "
                        + "with a letter or digit"))
        case .volumeByteCount(let count):
            self = .volume(
                .sizeUnlawful(
                    byteCount: count,
                    expected: "a multiple of \(Decisions.volumeGrain) up to "
                        + "\(Decisions.volumeByteCountMax)"))
        case .volumeShrinks(let name, let from, let to):
            self = .volume(.shrinks(name: name, from: from, to: to))
        case .tooManyVolumes(let limit): self = .volume(.tooMany(limit: limit))
        case .unknownRegion(let region): self = .region(.unknown(name: region.text, known: []))
        case .wishPending, .noWish, .wishIsJoint, .memberExists, .memberFormer, .memberUnknown,
            .memberIsPrimary, .lastDataMember, .otherRole, .witnessExists, .tooManyMembers,
            .tooManyFormers:
            self =
                MemberRefused(refusal).map { .member($0) }
                ?? .mesh(.overtaken(why: refusal.description))
        case .levelTooLow: self = .mesh(.levelTooLow(why: refusal.description))
        case .backupAhead, .backupSettled, .backupClaimed, .backupClaimOver, .backupGivenUp,
            .levelReached, .staleEpoch, .leaseRenewedSince, .noSuchWarrant, .unknownNode,
            .tooManySessions,
            .duplicate, .gap:
            self = .mesh(.overtaken(why: refusal.description))
        }
    }
}

extension EntryReport {
    init(_ entry: Entry) {
        let kind: Kind
        var summary = ""
        switch entry.kind {
        case .blank: (kind, summary) = (.blank, entry.epoch == .zero ? "term" : "renewal")
        case .membership: kind = .membership
        case .command:
            kind = .command
            summary = (try? Command(parsing: entry.payload)).map { "\($0)" } ?? "unknown"
        case .write:
            kind = .write
            if let write = try? VolumeWrite(parsing: entry) {
                summary = "volume \(write.volume) \(write.operation) at \(write.offset), "
                summary += "\(write.byteCount) bytes"
            }
        case .stream: kind = .stream
        }
        self.init(
            index: entry.index.rawValue, term: entry.term.rawValue, kind: kind,
            epoch: entry.epoch.rawValue, time: entry.time.rawValue,
            byteCount: UInt64(entry.bytes.count), session: entry.session.rawValue,
            sequence: entry.sequence, summary: summary)
    }
}
