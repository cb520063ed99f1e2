package import Mesh
package import Store

/// The highest incarnation that this node ever claimed (SWIM §4.2): one that restarts speaks above
/// it, or nobody would believe that it lives.
package struct IncarnationFile: Sendable {
    private let file: StateFile

    package init(in directory: String) { file = StateFile("incarnation", in: directory) }

    /// One above the last, durable already.
    package func next() throws -> Incarnation {
        let bytes = try file.read(bytesMax: 64) ?? []
        let text = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        guard text.isEmpty || UInt64(text) != nil else {
            throw StateFile.Failed(path: "incarnation", deed: "understand", code: 0)
        }
        let next = Incarnation(UInt64(text) ?? 0).next
        try persist(next)
        return next
    }

    package func persist(_ incarnation: Incarnation) throws(StateFile.Failed) {
        try file.replace(Array("\(incarnation)\n".utf8))
    }
}
