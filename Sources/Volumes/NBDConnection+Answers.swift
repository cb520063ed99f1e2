internal import NBDProtocol
internal import NIOCore
internal import VolumeCore

extension NBDConnection {
    /// What a request is answered with.
    enum Answer {
        case done
        case data([UInt8])
        case extents([VolumeExtent])
        case error(NBDError)

        /// Before the data; the extents' own bytes are counted with them.
        static let headByteCountMax = 32

        init(_ reply: VolumeReply) {
            switch reply {
            case .done: self = .done
            case .data(let bytes): self = .data(bytes)
            case .extents(let extents): self = .extents(extents)
            case .refused(let refused): self = .error(NBDError(refused))
            }
        }

        var byteCount: Int {
            switch self {
            case .data(let bytes): bytes.count
            case .extents(let extents): extents.count * 8
            case .done, .error: 0
            }
        }

        func write(to request: NBDRequest, isStructured: Bool, _ bytes: inout ByteBuffer) {
            let cookie = request.cookie
            switch self {
            case .done: bytes.writeBytes(NBDReply.simple(to: cookie, nil))
            case .data(let data):
                let head =
                    isStructured
                    ? NBDReply.data(to: cookie, at: request.offset, byteCount: data.count)
                    : NBDReply.simple(to: cookie, nil)
                bytes.writeBytes(head)
                bytes.writeBytes(data)
            case .extents(let extents):
                let told = extents.map {
                    NBDExtent(
                        byteCount: UInt32($0.byteCount), isHole: $0.isHole, isZero: $0.isZero)
                }
                bytes.writeBytes(
                    NBDReply.extents(
                        to: cookie, context: NBDHandshake.allocationContext, told))
            case .error(let error):
                let wantsChunk = request.command == .read || request.command == .blockStatus
                bytes.writeBytes(
                    isStructured && wantsChunk
                        ? NBDReply.error(to: cookie, error) : NBDReply.simple(to: cookie, error))
            }
        }
    }
}

extension NBDError {
    init(_ refused: VolumeRefused) {
        self =
            switch refused {
            case .closed, .unknownVolume, .staleGeneration: .shuttingDown
            case .outOfRange, .oversized: .invalid
            case .overloaded, .tooManyVolumes: .noMemory
            case .full: .noSpace
            case .nameTaken, .badName, .open, .damaged: .io
            }
    }
}
