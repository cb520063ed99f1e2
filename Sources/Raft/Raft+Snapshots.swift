internal import Mesh
internal import Record

/// A snapshot that is still arriving.
struct IncomingSnapshot: Hashable, Sendable {
    let position: Position
    let checksum: UInt32
    let byteCount: Int
    var bytes: [UInt8]
}

extension Raft {
    mutating func sendChunk(_ at: Int) {
        guard case .snapshot(let base, let done, waiting: false) = progress[at].state else {
            return
        }
        let end = min(done + settings.snapshotChunkBytesMax, base.contents.count)
        let chunk = Letter.SnapshotChunk(
            position: base.position, byteCount: base.contents.count,
            checksum: Checksum.crc32c(base.contents), offset: done,
            bytes: Array(base.contents[done..<end]))
        progress[at].state = .snapshot(base, acknowledged: done, waiting: true)
        send(.snapshot(chunk), to: progress[at].node)
    }

    /// The receiver says where to go on, so a transfer that was cut off resumes there.
    mutating func chunkHeard(_ position: Position, _ offset: Int, _ at: Int) {
        guard case .snapshot(let base, _, _) = progress[at].state, base.position == position,
            offset <= base.contents.count
        else { return }
        progress[at].state = .snapshot(base, acknowledged: offset, waiting: false)
    }

    mutating func chunkArrived(_ chunk: Letter.SnapshotChunk, from node: NodeID) {
        if chunk.position.index <= commitIndex {
            incoming = nil
            return release(letter(to: node, .appended(through: commitIndex)))
        }
        guard chunk.byteCount <= Base.contentsByteCountMax else { return }
        var arriving =
            incoming.flatMap {
                $0.position == chunk.position && $0.checksum == chunk.checksum
                    && $0.byteCount == chunk.byteCount ? $0 : nil
            }
            ?? IncomingSnapshot(
                position: chunk.position, checksum: chunk.checksum, byteCount: chunk.byteCount,
                bytes: [])
        incoming = nil
        if chunk.offset == arriving.bytes.count,
            chunk.bytes.count <= arriving.byteCount - arriving.bytes.count
        {
            arriving.bytes += chunk.bytes
        }
        guard arriving.bytes.count == arriving.byteCount else {
            let offset = arriving.bytes.count
            incoming = arriving
            return send(.snapshotHeard(position: chunk.position, offset: offset), to: node)
        }
        let base = Base(position: chunk.position, contents: arriving.bytes)
        guard Checksum.crc32c(base.contents) == chunk.checksum, let parsed = try? base.parsed()
        else {
            return send(.snapshotHeard(position: chunk.position, offset: 0), to: node)
        }
        install(base, parsed.membership, parsed.state)
        release(letter(to: node, .appended(through: matched)))
    }

    /// Raft fig. 13. The state is replaced only once the base is durable: after a crash in between,
    /// the state would be ahead of its log.
    private mutating func install(_ new: Base, _ membership: Membership, _ state: Base) {
        let kept = log.rebase(to: new.position, membership: membership)
        base = new
        change.base = new
        if !kept { changedFirst = LogIndex(1) }
        commitIndex = new.position.index
        matched = max(matched, new.position.index)
        restoring = (0, state)
        rearmElection()
    }
}
