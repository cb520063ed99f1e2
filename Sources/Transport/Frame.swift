internal import Mesh
package import NIOCore

package enum FrameKind: UInt8, Sendable {
    case hello = 0
    case payload = 1
    case ping = 2
    case pong = 3
    /// Says why the connection is about to be closed: one byte, a `RefusalCause`.
    case refusal = 4
}

package struct Frame: Hashable, Sendable {
    package var kind: FrameKind
    package var payload: [UInt8]
}

package enum FrameRefused: Error, Hashable {
    case oversized(bytes: Int, max: Int)
    case empty
    case unknownKind(UInt8)
}

/// Cuts a stream of bytes into frames: u32 little-endian length of what follows, u8 kind, payload.
package struct FrameReader {
    static let lengthBytes = 4
    static let kindBytes = 1

    /// The longest payload; small until the peer has shown who it is.
    package var payloadBytesMax: Int
    private var buffer = ByteBuffer()

    package init(payloadBytesMax: Int) { self.payloadBytesMax = payloadBytesMax }

    /// How much memory a frame not yet whole holds.
    package var capacity: Int { buffer.capacity }

    package mutating func push(_ bytes: inout ByteBuffer) {
        if buffer.readableBytes == 0 { swap(&buffer, &bytes) } else { buffer.writeBuffer(&bytes) }
    }

    /// The next whole frame, nil when more bytes are needed. A length beyond the limit refuses the
    /// stream before a byte of its payload is waited for: memory grows with what has arrived, never
    /// with what a peer says will.
    package mutating func next() throws(FrameRefused) -> Frame? {
        guard
            let length = buffer.getInteger(
                at: buffer.readerIndex, endianness: .little, as: UInt32.self)
        else { return nil }
        guard length > 0 else { throw .empty }
        let payloadBytes = Int(length) - Self.kindBytes
        guard payloadBytes <= payloadBytesMax else {
            throw .oversized(bytes: payloadBytes, max: payloadBytesMax)
        }
        if let code: UInt8 = buffer.getInteger(at: buffer.readerIndex + Self.lengthBytes),
            FrameKind(rawValue: code) == nil
        {
            throw .unknownKind(code)
        }
        guard buffer.readableBytes >= Self.lengthBytes + Int(length) else {
            buffer.discardReadBytes()
            return nil
        }
        buffer.moveReaderIndex(forwardBy: Self.lengthBytes)
        guard let kind = buffer.readInteger(as: UInt8.self).flatMap(FrameKind.init(rawValue:)),
            let payload = buffer.readBytes(length: payloadBytes)
        else { throw .empty }
        return Frame(kind: kind, payload: payload)
    }
}

extension ByteBuffer {
    package static func frame(
        _ kind: FrameKind, _ pieces: [[UInt8]], _ allocator: ByteBufferAllocator
    ) -> ByteBuffer {
        let bytes = pieces.reduce(0) { $0 + $1.count }
        var buffer = allocator.buffer(
            capacity: FrameReader.lengthBytes + FrameReader.kindBytes + bytes)
        buffer.writeInteger(UInt32(FrameReader.kindBytes + bytes), endianness: .little)
        buffer.writeInteger(kind.rawValue)
        for piece in pieces { buffer.writeBytes(piece) }
        return buffer
    }
}
