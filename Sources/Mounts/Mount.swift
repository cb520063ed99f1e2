internal import Backup
internal import Dispatch
internal import Logging
internal import Mesh
internal import NIOConcurrencyHelpers
internal import VolumeCore
internal import Volumes

/// Serves one volume to NBD clients, until it is stopped.
package final class Mount: Sendable {
    /// What clients have asked for and not got yet, over all of them.
    private static let bytesInFlightMax = 128 << 20
    private static let connectionsMax = 8
    /// Different things that went wrong and are told; a volume that is damaged all over says the same again and again.
    private static let toldMax = 1_000

    private let volume: MountedVolume
    private let name: String
    private let socket: String
    private let server: NBDServer
    private let line: RequestLine
    private let tell: @Sendable (String) -> Void
    private let told = NIOLockedValueBox<Set<String>>([])
    private let telling = DispatchQueue(label: "holdfast.mount.telling")
    /// Connections that have asked for something.
    private let live = NIOLockedValueBox<Set<ConnectionID>>([])

    /// `tell` gets each thing that goes wrong once. Requests are carried out on so many threads.
    package init(
        _ volume: MountedVolume, name: String, socket: String, isReadOnly: Bool, threads: Int,
        tell: @escaping @Sendable (String) -> Void
    ) {
        var limits = NBDLimits()
        limits.bytesInFlightTotalMax = Self.bytesInFlightMax
        // Each may have a request on its way whatever the others have.
        limits.connectionsPerExportMax = Self.connectionsMax
        limits.bytesInFlightMax = Self.bytesInFlightMax / Self.connectionsMax
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
        for event in events {
            switch event {
            case .request(let id, _, _, let request):
                live.withLockedValue { _ = $0.insert(id.connection) }
                line.add([
                    RequestLine.Deed(connection: id.connection) { [self] in
                        server.serve(
                            [.reply(id, answer(request, of: id.connection))], LeaseCheck())
                    }
                ])
            // A client that gave up and came again has asked anew: what it asked before must not be done behind that.
            case .cancelled(let connection):
                live.withLockedValue { _ = $0.remove(connection) }
                line.drop(connection)
            default: break
            }
        }
    }

    private func answer(
        _ request: VolumeRequest, of connection: ConnectionID
    ) -> VolumeReply {
        do throws(MountFailure) { return try reply(to: request, of: connection) } catch {
            let words = "\(error)"
            let isNew = told.withLockedValue {
                $0.count < Self.toldMax && $0.insert(words).inserted
            }
            // Whoever reads what is told may be slow, or gone.
            if isNew { telling.async { [tell] in tell(words) } }
            return if case .full = error { .refused(.full) } else { .refused(.damaged) }
        }
    }

    /// What is written is thrown away at the end, so nothing has to be made durable.
    private func reply(
        to request: VolumeRequest, of connection: ConnectionID
    ) throws(MountFailure) -> VolumeReply {
        let isWanted = { [live] in live.withLockedValue { $0.contains(connection) } }
        switch request {
        case .read(let offset, let count):
            return .data(try volume.read(offset..<offset + UInt64(count)))
        case .write(let offset, let bytes, _):
            try volume.write(bytes, at: offset, if: isWanted)
            return .done
        case .zeroes(let offset, let count, _, _), .trim(let offset, let count, _):
            try volume.zero(offset..<offset + UInt64(count), if: isWanted)
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
