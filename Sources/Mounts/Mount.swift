internal import Backup
internal import Logging
internal import Mesh
internal import NIOConcurrencyHelpers
internal import VolumeCore
internal import Volumes

/// Serves one volume to NBD clients, until it is stopped.
package final class Mount: Sendable {
    /// What clients have asked for and not got yet, over all of them.
    private static let bytesInFlightMax = 128 << 20
    /// Different things that went wrong and are told; a volume that is damaged all over says the same again and again.
    private static let toldMax = 1_000

    private let volume: MountedVolume
    private let name: String
    private let socket: String
    private let server: NBDServer
    private let line: RequestLine
    private let tell: @Sendable (String) -> Void
    private let told = NIOLockedValueBox<Set<String>>([])

    /// `tell` gets each thing that goes wrong once. Requests are carried out on so many threads.
    package init(
        _ volume: MountedVolume, name: String, socket: String, isReadOnly: Bool, threads: Int,
        tell: @escaping @Sendable (String) -> Void
    ) {
        var limits = NBDLimits()
        limits.bytesInFlightTotalMax = Self.bytesInFlightMax
        (self.volume, self.name, self.socket, self.tell) = (volume, name, socket, tell)
        line = RequestLine(threads: threads)
        server = NBDServer(
            socket: socket, isReadOnly: isReadOnly, limits: limits,
            logger: Logger(label: "holdfast.mount") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Clients can connect when this returns. To be stopped in any case.
    package func start() async throws(MountFailure) {
        do throws(NBDServerRefused) {
            try await server.start { [self] events in take(events) }
        } catch { throw .socket("cannot listen on \(socket): \(error)") }
        let opened = ClientEvent.opened(
            VolumeID(1), name: name, ExportGeneration(1), byteCount: volume.byteCount)
        server.serve([opened], LeaseCheck())
        await server.waitForSockets()
        if let fault = server.status.first?.socketFault {
            throw .socket("cannot listen on \(socket): \(fault)")
        }
    }

    /// No client is served any more, and the socket is gone.
    package func stop() async { await server.shutdown() }

    private func take(_ events: [ExportEvent]) {
        line.add(
            events.compactMap { event in
                guard case .request(let id, _, _, let request) = event else { return nil }
                return { [self] in
                    server.serve([.reply(id, answer(request))], LeaseCheck())
                }
            })
    }

    private func answer(_ request: VolumeRequest) -> VolumeReply {
        do throws(MountFailure) { return try reply(to: request) } catch {
            let words = "\(error)"
            let isNew = told.withLockedValue {
                $0.count < Self.toldMax && $0.insert(words).inserted
            }
            if isNew { tell(words) }
            return if case .full = error { .refused(.full) } else { .refused(.damaged) }
        }
    }

    /// What is written is thrown away at the end, so nothing has to be made durable.
    private func reply(to request: VolumeRequest) throws(MountFailure) -> VolumeReply {
        switch request {
        case .read(let offset, let count):
            return .data(try volume.read(offset..<offset + UInt64(count)))
        case .write(let offset, let bytes, _):
            try volume.write(bytes, at: offset)
            return .done
        case .zeroes(let offset, let count, _, _), .trim(let offset, let count, _):
            try volume.zero(offset..<offset + UInt64(count))
            return .done
        case .flush: return .done
        case .extents(let offset, let count, let countMax):
            return .extents(
                volume.extents(offset..<offset + count, countMax: countMax).map {
                    VolumeExtent(
                        byteCount: UInt64($0.range.count), isHole: $0.kind == .hole,
                        isZero: $0.kind != .data)
                })
        }
    }
}
