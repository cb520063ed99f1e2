package import Sealing

extension VolumeMap {
    /// Tells of all blobs that the map leads to, nodes and cells. Below a node that `enters` does not let it into nothing is
    /// told: of many maps that share most of theirs, what is new is walked.
    package func forEachBlob(
        nodes: inout some MapNodes, enters: (Digest) -> Bool, _ tell: (Digest) -> Void
    ) throws {
        try Self.tell(of: top, level: level, &nodes, enters, tell)
    }

    private static func tell(
        of slot: Slot, level: Int, _ nodes: inout some MapNodes, _ enters: (Digest) -> Bool,
        _ tell: (Digest) -> Void
    ) throws {
        guard case .stored(let id) = slot else { return }
        guard enters(id) else { return }
        tell(id)
        for slot in try nodes.slots(of: slot, level: level) {
            if level > 0 {
                try Self.tell(of: slot, level: level - 1, &nodes, enters, tell)
            } else if case .stored(let cell) = slot {
                tell(cell)
            }
        }
    }
}
