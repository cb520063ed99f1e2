internal import Gossip
package import JournalCore
package import Journal
package import Mesh
package import Raft
package import Record
package import Settings
package import Voting

extension Voter {
    /// How much of the log's end is read into memory at a restart.
    private static var tailBytesMax: Int { 4 << 20 }

    /// A member that goes on from what its journal held; `beginning` stands before the first entry.
    package static func restarting(
        _ settings: AgentSettings, raft raftSettings: RaftSettings, group: GroupID,
        journal: inout JournalCore<FileDisk>, recovered: Recovered,
        beginning: (base: Base, isFounded: Bool), incarnation: Incarnation, isWhole: Bool = true,
        random: inout SeededRandom,
        at now: Instant
    ) throws -> Voter {
        let base = recovered.base.position == .zero ? beginning.base : recovered.base
        var tail: [Entry] = []
        if let last = recovered.positions.last {
            tail = try journal.newest(bytesMax: tailBytesMax, last: last.index)
        }
        var restored = try Restored(
            hardState: recovered.hardState, base: base, positions: recovered.positions,
            configurations: journal.configurations(recovered),
            time: tail.last?.time ?? .zero, tail: tail)
        let tailBytes = tail.reduce(0) { $0 + $1.bytes.count }
        restored.untailedByteCount = journal.entriesByteCount - tailBytes
        let raft = Raft(
            seat: settings.member.id, isWitness: settings.member.role == .witness,
            isFounded: beginning.isFounded, isWhole: isWhole, group: group, settings: raftSettings,
            restored: restored,
            random: random.fork(), at: now)
        let gossip = Gossip(
            self: settings.member.peer, roster: settings.cluster.peers, settings: Gossip.Settings(),
            boot: BootID(random.next()), incarnation: incarnation, random: random.fork(), at: now)
        return Voter(raft: raft, gossip: gossip)
    }
}

extension JournalCore {
    /// The newest entries, about `bytesMax` of them, up to the end of the log.
    fileprivate mutating func newest(bytesMax: Int, last: LogIndex) throws -> [Entry] {
        let count = UInt64(bytesMax / Entry.byteCountMax)
        let wanted = last.rawValue > count ? LogIndex(last.rawValue - count) : .zero
        let first = max(firstIndex, wanted)
        return try entries(from: first, through: last, bytesMax: .max)
    }
}
