internal import Mesh
package import Record

/// A base to be sent, with the checksum of its contents: computed once, not once a piece.
package struct SealedBase: Hashable, Sendable {
    package let base: Base
    package let checksum: UInt32

    init(_ base: Base) {
        self.base = base
        checksum = Checksum.crc32c(base.contents)
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.base.position == b.base.position && a.checksum == b.checksum
    }
    package func hash(into hasher: inout Hasher) {
        hasher.combine(base.position)
        hasher.combine(checksum)
    }

    func chunk(from offset: Int, bytesMax: Int) -> Letter.SnapshotChunk {
        let end = min(offset + bytesMax, base.contents.count)
        return Letter.SnapshotChunk(
            position: base.position, byteCount: base.contents.count, checksum: checksum,
            offset: offset, bytes: Array(base.contents[offset..<end]))
    }
}

/// A snapshot that is still arriving.
struct IncomingSnapshot: Hashable, Sendable {
    let position: Position
    let checksum: UInt32
    let byteCount: Int
    var bytes: [UInt8]
}

extension Raft {
    /// The present base, sealed once for all who need it.
    mutating func sealed() -> SealedBase {
        if let sealedBase, sealedBase.base.position == base.position { return sealedBase }
        let fresh = SealedBase(base)
        sealedBase = fresh
        return fresh
    }

    mutating func sendChunk(_ at: Int) {
        guard case .snapshot(let base, let done, waiting: false) = progress[at].state else {
            return
        }
        let chunk = base.chunk(from: done, bytesMax: settings.snapshotChunkBytesMax)
        progress[at].state = .snapshot(base, acknowledged: done, waiting: true)
        send(.snapshot(chunk), to: progress[at].node)
    }

    /// The receiver says where to go on, so a transfer that was cut off resumes there.
    mutating func chunkHeard(_ position: Position, _ offset: Int, _ at: Int) {
        guard case .snapshot(let sealed, _, _) = progress[at].state,
            sealed.base.position == position, offset <= sealed.base.contents.count
        else { return }
        progress[at].state = .snapshot(sealed, acknowledged: offset, waiting: false)
    }

    mutating func chunkArrived(_ chunk: Letter.SnapshotChunk, from node: NodeID) {
        guard !contradicts(CollectionOfOne(chunk.position), node) else { return }
        if isWitness { return baseMoved(chunk, by: node) }
        if chunk.position.index <= commitIndex {
            incoming = nil
            return release(letter(to: node, .appended(through: commitIndex)))
        }
        // A base is committed: whoever's log has its entry has all below it, and needs no other state.
        if log.term(at: chunk.position.index) == chunk.position.term {
            (incoming, commitIndex) = (nil, chunk.position.index)
            matched = max(matched, commitIndex)
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
        // A base carries no volume's bytes.
        isWhole = false
        rearmElection()
    }
}
