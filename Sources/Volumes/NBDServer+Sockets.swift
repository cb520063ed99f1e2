internal import Logging
internal import Glibc
internal import Mesh
internal import NBDProtocol
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NIOConcurrencyHelpers
internal import VolumeCore

extension NBDServer {
    func bootstrap(
        _ scope: Scope, _ security: NBDHandshake.Security
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 128)
            .childChannelOption(.recvAllocator, value: Self.receiveBuffers)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try self.accept(channel, scope, security)
                }
            }
    }

    /// Large writes come in few pieces, idle connections hold little.
    private static var receiveBuffers: AdaptiveRecvByteBufferAllocator {
        AdaptiveRecvByteBufferAllocator(minimum: 2 << 10, initial: 16 << 10, maximum: 256 << 10)
    }

    private func accept(
        _ channel: any Channel, _ scope: Scope, _ security: NBDHandshake.Security
    ) throws {
        let id = state.withLockedValue { state -> ConnectionID? in
            guard !state.isStopped, state.strangers < limits.strangersMax else { return nil }
            state.lastConnection += 1
            state.strangers += 1
            return ConnectionID(state.lastConnection)
        }
        guard let id else { throw ChannelError.ioOnClosedChannel }
        let handler = NBDConnection(
            self, id, scope, security, security == .forcedTLS ? tls : nil)
        let peer = Peer(
            handler: NIOLoopBound(handler, eventLoop: channel.eventLoop), channel: channel,
            volume: nil)
        state.withLockedValue { $0.peers[id] = peer }
        channel.closeFuture.whenComplete { _ in self.left(id) }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    /// What a connection may open at this moment.
    func offer(_ scope: Scope) -> NBDOffer {
        state.withLockedValue { state in
            switch scope {
            case .all:
                let exports = state.exports.values.sorted { $0.name < $1.name }
                return NBDOffer(exports.map(\.offered), acceptsEmptyName: false)
            case .volume(let volume, let generation):
                guard let export = state.exports[volume], export.generation == generation else {
                    return NBDOffer([], acceptsEmptyName: true)
                }
                return NBDOffer([export.offered], acceptsEmptyName: true)
            }
        }
    }

    /// Counts the connection among the export's; nil where the export has ended or is full.
    func enter(_ id: ConnectionID, _ name: String, _ scope: Scope)
        -> (VolumeID, ExportGeneration)?
    {
        state.withLockedValue { state in
            let found = state.exports.values.first { export in
                switch scope {
                case .all: export.name == name
                case .volume(let volume, let generation):
                    export.volume == volume && export.generation == generation
                }
            }
            guard let found, found.connections.count < limits.connectionsPerExportMax,
                state.peers[id] != nil
            else { return nil }
            state.exports[found.volume]?.connections.insert(id)
            state.peers[id]?.volume = found.volume
            state.strangers -= 1
            return (found.volume, found.generation)
        }
    }

    func post(_ events: [ExportEvent]) {
        let post = state.withLockedValue { $0.post }
        post?(events)
    }

    private func left(_ id: ConnectionID) {
        let served = state.withLockedValue { state -> Bool in
            guard let peer = state.peers.removeValue(forKey: id) else { return false }
            guard let volume = peer.volume else {
                state.strangers -= 1
                return false
            }
            state.exports[volume]?.connections.remove(id)
            return true
        }
        if served { post([.cancelled(id)]) }
    }

    // The two below run on the sockets' queue, which may wait.

    /// Bound beside its name, closed to others and then renamed: nobody meets a socket that is half
    /// made, and one that a dead process left is replaced.
    func listen(_ export: Export) {
        guard isOpen(export) else { return }
        let (path, new) = (socketPath(of: export.name), newSocketPath(of: export.name))
        do {
            let scope = Scope.volume(export.volume, export.generation)
            let channel = try bootstrap(scope, .socketFile)
                .bind(unixDomainSocketPath: new, cleanupExistingSocketFile: true).wait()
            guard unsafe chmod(new, 0o600) == 0, unsafe Glibc.rename(new, path) == 0 else {
                let error = IOError(errnoCode: errno, reason: "cannot put \(path) in its place")
                channel.close(promise: nil)
                throw error
            }
            state.withLockedValue { $0.listeners[export.volume] = channel }
        } catch {
            state.withLockedValue { state in
                guard state.exports[export.volume]?.generation == export.generation else { return }
                state.exports[export.volume]?.fault = "\(error)"
            }
            logger.error(
                "volume has no socket", metadata: ["path": "\(path)", "error": "\(error)"])
        }
    }

    private func isOpen(_ export: Export) -> Bool {
        state.withLockedValue { $0.exports[export.volume]?.generation == export.generation }
    }

    func stopListening(_ export: Export) {
        let listener = state.withLockedValue { $0.listeners.removeValue(forKey: export.volume) }
        guard let listener else { return }
        _ = unsafe unlink(socketPath(of: export.name))
        do { try listener.close().wait() } catch {
            logger.debug("socket closed before", metadata: ["error": "\(error)"])
        }
    }
}

extension NBDServer.Export {
    fileprivate var offered: NBDExport {
        NBDExport(name: name, byteCount: byteCount, isReadOnly: isReadOnly)
    }
}

extension TimeAmount {
    init(_ interval: Interval) { self = .nanoseconds(Int64(clamping: interval.nanoseconds)) }
}
