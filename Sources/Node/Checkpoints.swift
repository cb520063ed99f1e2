internal import Mesh
internal import Planted
internal import Raft
internal import Record
internal import Voting

/// When the volumes are made durable outside the log, and how far the log may then forget.
///
/// A base holds no volume's bytes, so the log is kept up to what every data member has that was not
/// left behind: one that was away for less catches up from it.
struct Checkpoints: Sendable {
    /// Images of the decisions that wait for the others to follow; the oldest alternate goes first.
    static let readyMax = 32

    struct Image: Sendable {
        let position: Position
        let contents: [UInt8]
        /// What was applied up to there since the process began.
        let byteCount: Int
    }

    private var total = 0
    private var bytes = 0
    private var entries = 0
    /// Asked for and not durable yet.
    private var begun: Image?
    private var ready: [Image] = []

    mutating func isDue(_ applied: [Entry], _ settings: Node.Settings) -> Bool {
        entries += applied.count
        let more = applied.reduce(0) { $0 + $1.bytes.count }
        bytes += more
        total += more
        return begun == nil
            && (bytes >= settings.checkpointBytes || entries >= settings.checkpointEntries)
    }

    mutating func begin(_ position: Position, _ contents: [UInt8]) {
        (bytes, entries) = (0, 0)
        let image = Image(position: position, contents: contents, byteCount: total)
        if isPlanted(.compactsBeforeCheckpoint) { ready.append(image) } else { begun = image }
    }

    mutating func volumesDurable(through index: LogIndex) {
        guard let image = begun, image.position.index <= index else { return }
        begun = nil
        ready.append(image)
        guard ready.count > Self.readyMax else { return }
        ready = ready.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
    }

    /// Up to where the log would be forgotten with the first image that waits and has so many bytes of the log behind it.
    func next(keeping tail: Int) -> LogIndex? {
        ready.first.flatMap { total - $0.byteCount >= tail ? $0.position.index : nil }
    }

    /// The newest such image at or below `floor`; it and all before it are not given again.
    mutating func take(upTo floor: LogIndex, keeping tail: Int) -> Image? {
        let count = ready.prefix {
            $0.position.index <= floor && total - $0.byteCount >= tail
        }.count
        guard count > 0 else { return nil }
        defer { ready.removeFirst(count) }
        return ready[count - 1]
    }
}

extension Node {
    mutating func compact() {
        guard let next = checkpoints.next(keeping: settings.logTailBytes),
            next <= voter.raft.appliedIndex,
            voter.raft.mayForget(through: next)
        else { return }
        // Volumes that took what they lacked are ahead of what the log has handed out.
        let floor = min(voter.raft.compactionFloor, voter.raft.appliedIndex)
        guard let image = checkpoints.take(upTo: floor, keeping: settings.logTailBytes) else {
            return
        }
        turn(.raft(.checkpointed(Base(position: image.position, contents: image.contents))))
    }
}
