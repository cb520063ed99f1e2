internal import Dispatch
internal import Glibc
package import Logging
internal import Mesh
internal import NBDProtocol
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NIOConcurrencyHelpers
package import VolumeCore
internal import Synchronization

/// An open export as operators see it.
package struct NBDExportStatus: Hashable, Sendable {
    package let name: String
    package let generation: ExportGeneration
    package let byteCount: UInt64
    package let connections: Int
    /// Why its socket is not there; the volume is then reachable over TCP only.
    package let socketFault: String?
}

/// Serves the open volumes to NBD clients: each on a unix socket of its name, and all of them by
/// name over TCP with mutual TLS where that is configured. `shutdown` must be called before the last
/// reference goes.
package final class NBDServer: Sendable {
    package struct Listener: Hashable, Sendable {
        package let host: String
        package let port: Int
        package let certificates: NBDCertificates
        package init(host: String, port: Int, certificates: NBDCertificates) {
            self.host = host
            self.port = port
            self.certificates = certificates
        }
    }

    /// Where sockets lie.
    enum Place: Sendable {
        /// Each export's in this directory, by its name.
        case directory(String)
        /// That of the one export there is.
        case file(String)
    }

    /// What a connection may open.
    enum Scope: Hashable, Sendable {
        case volume(VolumeID, ExportGeneration)
        case all
    }

    struct Export: Sendable {
        let volume: VolumeID
        let name: String
        let generation: ExportGeneration
        let isReadOnly: Bool
        var byteCount: UInt64
        var fault: String?
        var connections: Set<ConnectionID> = []
    }

    struct Peer: Sendable {
        let handler: NIOLoopBound<NBDConnection>
        let channel: any Channel
        var volume: VolumeID?
    }

    struct State: Sendable {
        var exports: [VolumeID: Export] = [:]
        /// Touched on the sockets' queue only.
        var listeners: [VolumeID: any Channel] = [:]
        var peers: [ConnectionID: Peer] = [:]
        var strangers = 0
        var lastConnection: UInt64 = 0
        var post: (@Sendable ([ExportEvent]) -> Void)?
        var tcp: (any Channel)?
        var isStopped = false
    }

    let limits: NBDLimits
    let logger: Logger
    private let place: Place
    private let isReadOnly: Bool
    /// What the next client over TCP meets; nil where none is served.
    private let security: NIOLockedValueBox<NIOSSLContext?>
    let group: MultiThreadedEventLoopGroup
    let state = NIOLockedValueBox(State())
    let bytesInFlight = Atomic<Int>(0)
    /// Sockets open and close here, one after the other: a volume that ends and opens again would
    /// else take its new socket away.
    let sockets = DispatchQueue(label: "holdfast.volumes.sockets")
    private let listener: Listener?

    /// Sockets will lie in `directory`/volumes.
    package init(
        directory: String, listener: Listener? = nil, limits: NBDLimits = NBDLimits(),
        logger: Logger
    ) throws(NBDServerRefused) {
        let directory = directory + "/volumes"
        (place, isReadOnly) = (.directory(directory), false)
        self.listener = listener
        self.limits = limits
        self.logger = logger
        security = NIOLockedValueBox(try listener?.certificates.context())
        let made = unsafe mkdir(directory, 0o700)
        guard made == 0 || errno == EEXIST else {
            throw .directory(path: directory, errno: errno)
        }
        group = MultiThreadedEventLoopGroup(numberOfThreads: limits.threadCount)
    }

    /// Serves one export, on a socket of that path and nowhere else. Whoever gives the path sees to it that strangers
    /// can put nothing in its place.
    package init(
        socket path: String, isReadOnly: Bool, limits: NBDLimits = NBDLimits(), logger: Logger
    ) {
        (place, self.isReadOnly) = (.file(path), isReadOnly)
        listener = nil
        self.limits = limits
        self.logger = logger
        security = NIOLockedValueBox(nil)
        group = MultiThreadedEventLoopGroup(numberOfThreads: limits.threadCount)
    }

    /// Hands requests to `post` from now on, and listens on TCP if that is configured.
    package func start(
        post: @escaping @Sendable ([ExportEvent]) -> Void
    ) async throws(NBDServerRefused) {
        state.withLockedValue { $0.post = post }
        guard let listener else { return }
        do {
            let channel = try await bootstrap(.all, .forcedTLS)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                // A client whose host died would else hold its place among the connections.
                .childChannelOption(.socketOption(.so_keepalive), value: 1)
                .bind(host: listener.host, port: listener.port).get()
            state.withLockedValue { $0.tcp = channel }
        } catch {
            throw .listen(address: "\(listener.host):\(listener.port)", why: "\(error)")
        }
    }

    var tls: NIOSSLContext? { security.withLockedValue { $0 } }

    /// Reads the certificates again. New connections meet the new ones, standing ones stay; when the
    /// files are refused, the old ones stay.
    package func reloadCertificates() throws(NBDServerRefused) {
        guard let new = try listener?.certificates.context() else { return }
        security.withLockedValue { $0 = new }
    }

    /// The TCP port, which the system chose where 0 was asked for.
    package var port: Int? { state.withLockedValue { $0.tcp?.localAddress?.port } }

    package var status: [NBDExportStatus] {
        state.withLockedValue { state in
            state.exports.values.sorted { $0.name < $1.name }.map {
                NBDExportStatus(
                    name: $0.name, generation: $0.generation, byteCount: $0.byteCount,
                    connections: $0.connections.count, socketFault: $0.fault)
            }
        }
    }

    package func socketPath(of name: String) -> String {
        switch place {
        case .directory(let directory): "\(directory)/\(name).sock"
        case .file(let path): path
        }
    }

    /// What the socket is called until it is closed to others.
    func newSocketPath(of name: String) -> String {
        switch place {
        case .directory(let directory): "\(directory)/\(name).new"
        case .file(let path): path + ".new"
        }
    }

    /// Returns once all sockets that were asked for before are there or have failed.
    package func waitForSockets() async {
        await withCheckedContinuation { waiter in sockets.async { waiter.resume() } }
    }

    /// Closes everything and ends the threads; nothing is posted after it returns.
    package func shutdown() async {
        let (exports, tcp, wasStopped) = state.withLockedValue { state in
            defer {
                state.isStopped = true
                state.exports = [:]
                state.tcp = nil
            }
            return (Array(state.exports.values), state.tcp, state.isStopped)
        }
        guard !wasStopped else { return }
        for export in exports { sockets.async { self.stopListening(export) } }
        await waitForSockets()
        tcp?.close(promise: nil)
        let peers = state.withLockedValue { Array($0.peers.values) }
        for peer in peers { peer.channel.close(promise: nil) }
        do { try await group.shutdownGracefully() } catch {
            logger.error("event loops did not end", metadata: ["error": "\(error)"])
        }
        state.withLockedValue { $0.post = nil }
    }

    /// Takes what the volumes say, in order. Called from their queue; doesn't block.
    package func serve(_ events: [ClientEvent], _ check: LeaseCheck) {
        var replies: [ConnectionID: [(number: UInt64, reply: VolumeReply)]] = [:]
        for event in events {
            switch event {
            case .reply(let id, let reply):
                replies[id.connection, default: []].append((id.number, reply))
            case .opened(let volume, let name, let generation, let byteCount):
                open(
                    Export(
                        volume: volume, name: name, generation: generation,
                        isReadOnly: isReadOnly, byteCount: byteCount))
            case .grown(let volume, let byteCount):
                state.withLockedValue { $0.exports[volume]?.byteCount = byteCount }
            case .ended(let volume, let generation):
                // The refusals of what waited go before the end.
                deliver(replies, check)
                replies = [:]
                end(volume, generation)
            }
        }
        deliver(replies, check)
    }

    private func deliver(
        _ replies: [ConnectionID: [(number: UInt64, reply: VolumeReply)]], _ check: LeaseCheck
    ) {
        guard !replies.isEmpty else { return }
        let peers = state.withLockedValue { state in
            replies.compactMap { id, replies in state.peers[id].map { ($0, replies) } }
        }
        for (peer, replies) in peers {
            peer.channel.eventLoop.execute { peer.handler.value.deliver(replies, check) }
        }
    }

    private func open(_ export: Export) {
        let isOpen = state.withLockedValue { state in
            guard !state.isStopped else { return false }
            state.exports[export.volume] = export
            return true
        }
        if isOpen { sockets.async { self.listen(export) } }
    }

    private func end(_ volume: VolumeID, _ generation: ExportGeneration) {
        let (export, peers) = state.withLockedValue { state -> (Export?, [Peer]) in
            guard state.exports[volume]?.generation == generation,
                let export = state.exports.removeValue(forKey: volume)
            else { return (nil, []) }
            return (export, export.connections.compactMap { state.peers[$0] })
        }
        guard let export else { return }
        for peer in peers {
            peer.channel.eventLoop.execute { peer.handler.value.end() }
        }
        sockets.async { self.stopListening(export) }
    }
}
