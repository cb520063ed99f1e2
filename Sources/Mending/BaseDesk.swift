package import Mesh
package import Record

/// Gives a base piece by piece to whoever asks; what was made for one asker serves the next as well.
package struct BaseDesk: Sendable {
    private var base: Base?

    package init() {}

    /// nil where none is at that index or above. `make` is asked for one when the last is of no use.
    package mutating func answer(
        atLeast index: LogIndex, of wanted: BaseIdentity, offset: UInt64, make: () -> Base?
    ) -> MendMessage? {
        if base.map({ $0.position.index < index }) ?? true {
            // One that is of no use to this asker may be what another is being given.
            guard let made = make(), made.position.index >= index else { return nil }
            base = made
        }
        guard let base else { return nil }
        let isKnown = wanted != .none && BaseIdentity(base) == wanted
        let start = isKnown ? min(Int(clamping: offset), base.contents.count) : 0
        let end = min(start + MendMessage.pieceByteCount, base.contents.count)
        return .basePiece(
            BasePiece(
                base: BaseIdentity(base), offset: UInt64(start),
                bytes: Array(base.contents[start..<end])))
    }
}
