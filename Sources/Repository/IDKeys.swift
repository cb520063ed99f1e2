package import Sealing

/// By what a tenant's blobs are named. It outlives rotations: an id changes with it, and with the id
/// goes all that need not be stored again.
package struct IDKeys: Sendable {
    private let cell: IDKey
    private let node: IDKey
    private let piece: IDKey

    package init(_ secret: Secret) {
        func key(_ kind: String) -> IDKey {
            IDKey(secret.derived(salt: [], for: Array("holdfast id 1 \(kind)".utf8)))
        }
        (cell, node, piece) = (key("cell"), key("node"), key("piece"))
    }

    package func id(of plain: Span<UInt8>, _ kind: Blob.Kind) -> Digest { key(kind).id(of: plain) }

    /// For whoever names many blobs of a kind.
    package func namer(_ kind: Blob.Kind) -> IDNamer { IDNamer(key(kind)) }

    private func key(_ kind: Blob.Kind) -> IDKey {
        switch kind {
        case .cell: cell
        case .node: node
        case .piece: piece
        }
    }
}
