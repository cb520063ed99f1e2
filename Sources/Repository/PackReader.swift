internal import Mesh
internal import Sealing

/// A pack whose bytes are at hand.
package struct PackReader: Sendable {
    private let directory: PackDirectory
    private let bytes: [UInt8]
    private let opener: BlobOpener

    /// Reads what the pack says of itself; of its blobs none is opened yet.
    package init(_ bytes: [UInt8], for place: SealedPlace) throws(ObjectDamage) {
        directory = try PackDirectory(head: bytes, tail: bytes, of: bytes.count, for: place)
        try SealedObject.checkPadding(bytes, directory.padding, key: directory.key)
        self.bytes = bytes
        opener = BlobOpener(directory.key)
    }

    package var header: SealedHeader { directory.header }
    package var blobs: [PlacedBlob] { directory.blobs }

    /// What it holds, byte for byte as it was added.
    package func plain(_ placed: PlacedBlob) throws(ObjectDamage) -> [UInt8] {
        let range = try range(of: placed)
        return try opener.plain(bytes.span.extracting(range), placed)
    }

    /// The same, where it also is what its id says.
    package func plain(
        _ placed: PlacedBlob, checkedBy ids: IDKeys
    ) throws(ObjectDamage) -> [UInt8] {
        let range = try range(of: placed)
        return try opener.plain(bytes.span.extracting(range), placed, checkedBy: ids)
    }

    func isStored(_ placed: PlacedBlob, as stored: Span<UInt8>) -> Bool {
        guard let range = try? range(of: placed) else { return false }
        return opener.isStored(bytes.span.extracting(range), placed, as: stored)
    }

    /// An index may say of the pack what is not so.
    private func range(of placed: PlacedBlob) throws(ObjectDamage) -> Range<Int> {
        guard placed.range.upperBound <= bytes.count else {
            throw .truncated(wanted: placed.range.upperBound, have: bytes.count)
        }
        return placed.range
    }
}
