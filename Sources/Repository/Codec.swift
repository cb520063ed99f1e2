internal import CCompression

/// How bytes are made fewer before they are sealed.
package struct Codec: Sendable {
    /// Appends the bytes in at most that many others; false, and nothing appended, where they don't fit.
    package var compress: @Sendable (Span<UInt8>, Int, inout [UInt8]) -> Bool
    /// Exactly as many bytes as there were; nil where it is no such thing.
    package var decompress: @Sendable (Span<UInt8>, Int) -> [UInt8]?

    package init(
        compress: @escaping @Sendable (Span<UInt8>, Int, inout [UInt8]) -> Bool,
        decompress: @escaping @Sendable (Span<UInt8>, Int) -> [UInt8]?
    ) {
        (self.compress, self.decompress) = (compress, decompress)
    }

    /// LZ4's block format.
    package static let lz4 = Codec(
        compress: { plain, most, bytes in
            let before = bytes.count
            bytes.append(addingCapacity: most) { room in
                unsafe room.withUnsafeMutableBufferPointer { room, count in
                    count = unsafe plain.withUnsafeBytes { plain in
                        unsafe holdfast_lz4_compress(
                            plain.baseAddress, plain.count, room.baseAddress, most)
                    }
                }
            }
            return bytes.count > before
        },
        decompress: { block, count in
            var isWhole = false
            let plain = [UInt8](capacity: count) { room in
                unsafe room.withUnsafeMutableBufferPointer { room, made in
                    isWhole = unsafe block.withUnsafeBytes { block in
                        unsafe holdfast_lz4_decompress(
                            block.baseAddress, block.count, room.baseAddress, count)
                    }
                    made = isWhole ? count : 0
                }
            }
            return isWhole ? plain : nil
        })
}

extension Codec {
    /// Appends the bytes as they will be sealed, and says how. What the codec made is taken apart again at once: what can't
    /// be read back is found while the source is still there (restic #4523), and lies raw.
    func store(
        _ plain: Span<UInt8>, onto stored: inout [UInt8]
    ) -> (encoding: Blob.Encoding, isFaulty: Bool) {
        let start = stored.count
        // Less than a 32nd gained is not worth the time at a restore.
        let most = plain.count - plain.count / 32 - 1
        var isFaulty = false
        if most > 0, compress(plain, most, &stored) {
            let made = stored.count - start
            if (1...most) ~= made,
                let back = decompress(stored.span.extracting(start...), plain.count),
                plain.isEqual(to: back.span)
            {
                return (.lz4, false)
            }
            isFaulty = true
            stored.removeLast(made)
        }
        unsafe plain.withUnsafeBytes { unsafe stored.append(contentsOf: $0) }
        return (.raw, isFaulty)
    }
}
