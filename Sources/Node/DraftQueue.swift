internal import Mesh
internal import Record
internal import VolumeCore

/// Writes that clients were answered and the log has not taken. Bounded by what the exports let
/// pend (`VolumeLimits.pendingByteCountMax`).
struct DraftQueue: Sendable {
    private var drafts: [Draft] = []
    /// When each was answered.
    private var times: [Instant] = []
    private var head = 0

    var isEmpty: Bool { head == drafts.count }
    var count: Int { drafts.count - head }

    private(set) var round = ProposalRound.zero

    /// A new round proposes again what an earlier one still had here.
    mutating func append(_ more: [Draft], _ round: ProposalRound, answeredAt time: Instant) {
        if round != self.round { removeAll() }
        self.round = round
        drafts += more
        times += repeatElement(time, count: more.count)
    }

    mutating func removeAll() { (drafts, times, head) = ([], [], 0) }

    /// The oldest ones, at least one and then up to `bytesMax`.
    func front(bytesMax: Int) -> ArraySlice<Draft> {
        var (end, bytes) = (head, 0)
        while end < drafts.count, end == head || bytes + drafts[end].byteCount <= bytesMax {
            bytes += drafts[end].byteCount
            end += 1
        }
        return drafts[head..<end]
    }

    /// When the oldest ones were answered.
    func times(ofFirst count: Int) -> ArraySlice<Instant> { times[head..<head + count] }

    mutating func removeFirst(_ count: Int) {
        head += count
        guard head * 2 > drafts.count else { return }
        drafts.removeFirst(head)
        times.removeFirst(head)
        head = 0
    }
}
