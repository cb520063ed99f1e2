internal import Glibc
package import Logging
internal import NIOCore
internal import NIOHTTP1
package import NIOPosix
internal import NIOConcurrencyHelpers

/// Serves a door at a unix socket. `shutdown` must be called before the last reference goes.
package final class AdminServer: Sendable {
    private struct State: Sendable {
        var listener: (any Channel)?
        var file: SocketFile?
        var open: [ObjectIdentifier: any Channel] = [:]
        var isStopped = false
    }

    private let path: String
    private let door: any AdminDoor
    private let limits: ControlLimits
    private let admission: Admission
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    /// `owner` may use the socket, and root may.
    package init(
        path: String, door: any AdminDoor, limits: ControlLimits = ControlLimits(),
        owner: UInt32 = geteuid(), group: MultiThreadedEventLoopGroup = .singleton, logger: Logger
    ) {
        self.path = path
        self.door = door
        self.limits = limits
        admission = Admission(owner: owner)
        self.group = group
        self.logger = logger
    }

    /// Throws `SocketRefused` when another agent answers there, or the socket can't be made.
    package func start() async throws {
        let file = try SocketFile(listeningAt: path, backlog: CInt(limits.connectionsMax))
        let listener: any Channel
        do {
            listener = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: CInt(limits.connectionsMax))
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelInitializer { channel in self.accept(channel) }
                .withBoundSocket(file.descriptor).get()
        } catch {
            file.remove()
            throw error
        }
        let isStopped = state.withLockedValue { state in
            (state.listener, state.file) = (listener, file)
            return state.isStopped
        }
        if isStopped { await shutdown() }
    }

    /// Closes the socket and every connection; a call that the door still works on is cancelled.
    package func shutdown() async {
        let (file, channels) = state.withLockedValue { state in
            let channels = [state.listener].compactMap(\.self) + state.open.values
            defer { (state.listener, state.file, state.isStopped) = (nil, nil, true) }
            return (state.file, channels)
        }
        file?.remove()
        for channel in channels {
            do { try await channel.close().get() } catch {
                logger.debug("admin connection was closed", metadata: ["error": "\(error)"])
            }
        }
    }

    private func accept(_ channel: any Channel) -> EventLoopFuture<Void> {
        let key = ObjectIdentifier(channel)
        let count = state.withLockedValue { state -> Int? in
            guard !state.isStopped else { return nil }
            state.open[key] = channel
            return state.open.count
        }
        guard let count else {
            return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        channel.closeFuture.whenComplete { _ in
            self.state.withLockedValue { _ = $0.open.removeValue(forKey: key) }
        }
        let limit = limits.connectionsMax
        guard count <= limit + limits.turnedAwayMax else {
            return channel.eventLoop.makeFailedFuture(HTTPRefused.crowded(limit: limit))
        }
        let crowded = count > limit ? HTTPRefused.crowded(limit: limit) : nil
        return PeerCredentials.of(channel).flatMapThrowing { peer in
            let refusal = self.admission.refusal(of: peer.user) ?? crowded
            if let refusal { self.note(refusal, peer) }
            try self.install(channel, refusal)
        }
    }

    private func install(_ channel: any Channel, _ refusal: HTTPRefused?) throws {
        var limit = NIOHTTPDecoderLimitConfiguration()
        limit.maxHeaderFieldSize = ControlLimits.headerBytesMax
        limit.maxHeaderListSize = ControlLimits.headerBytesMax
        limit.maxHeaderFieldCount = ControlLimits.headersMax
        let decoder = HTTPRequestDecoder(
            leftOverBytesStrategy: .dropBytes, limitConfiguration: limit)
        let handler = ExchangeHandler(door: door, limits: limits, refusal: refusal)
        try channel.pipeline.syncOperations.addHandlers([
            HTTPResponseEncoder(), ByteToMessageHandler(decoder), handler,
        ])
    }

    private func note(_ refusal: HTTPRefused, _ peer: PeerCredentials) {
        logger.warning(
            "admin connection refused",
            metadata: [
                "reason": "\(refusal)", "user": "\(peer.user)", "process": "\(peer.process)",
            ])
    }
}
