package import Logging
package import Mesh
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NIOConcurrencyHelpers

/// Who a node is on the wire.
package struct TransportIdentity: Hashable, Sendable {
    package let name: PeerName
    package let featureLevel: UInt32
    package init(name: PeerName, featureLevel: UInt32) {
        self.name = name
        self.featureLevel = featureLevel
    }
}

/// Moves frames between the members over TLS 1.3 with mutual authentication. Promises nothing but
/// order within one connection: frames are dropped, never delayed without bound, and the protocols
/// above send again.
///
/// Each pair has one duplex connection per lane, dialed by the node with the lower id: half the
/// handshakes and sockets of two one-way sets, a ping whose answer takes the same path as the
/// frames, and a break that both ends see. `shutdown` must be called before the last reference goes.
package final class Transport: Sendable {
    package typealias Receive = @Sendable (NodeID, Lane, [UInt8]) -> Void

    let identity: TransportIdentity
    let limits: TransportLimits
    /// Called on an event loop; must not block. For back-pressure see `pauseReading`.
    let receive: Receive
    private let paths: CredentialPaths
    private let observe: @Sendable (TransportEvent) -> Void
    private let logger: Logger
    private let group: MultiThreadedEventLoopGroup
    let shared: NIOLockedValueBox<Shared>

    package init(
        identity: TransportIdentity, roster: Roster, credentials paths: CredentialPaths,
        revoked: [NodeID] = [], limits: TransportLimits = TransportLimits(), logger: Logger,
        observe: @escaping @Sendable (TransportEvent) -> Void = { _ in },
        receive: @escaping Receive
    ) throws(CredentialsRefused) {
        let credentials = try Credentials(paths, expecting: identity.name)
        var system = SystemRandomNumberGenerator()
        self.identity = identity
        self.limits = limits
        self.paths = paths
        self.receive = receive
        self.observe = observe
        self.logger = logger
        let gate = Gate(own: identity.name, roster: roster, revoked: revoked)
        shared = NIOLockedValueBox(
            Shared(
                credentials: credentials, gate: gate, random: SeededRandom(seed: system.next())))
        // One loop for each lane: TLS of bulk bytes then holds no other lane's thread.
        group = MultiThreadedEventLoopGroup(numberOfThreads: Lane.allCases.count)
    }

    var gate: Gate { shared.withLockedValue { $0.gate } }

    /// Listens at the roster's own address and begins to dial. Throws when it cannot listen.
    package func start() async throws {
        guard let own = gate.roster.entry(identity.name.node) else {
            throw Refusal(.unknownNode, "the roster has no address for this node")
        }
        let listener = try await listen(at: own)
        let dialing = shared.withLockedValue { shared -> [LinkKey]? in
            guard shared.phase == .made else { return nil }
            shared.phase = .started
            shared.listener = listener
            return shared.keys.filter { shared.links[$0]?.dials == true }
        }
        guard let dialing else { return try await listener.close().get() }
        for key in dialing { dial(key) }
    }

    private func listen(at own: Roster.Entry) async throws(ListenRefused) -> any Channel {
        do {
            return try await ServerBootstrap(group: group)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(.backlog, value: 128)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try self.accept(channel) }
                }
                .bind(host: own.host, port: own.port).get()
        } catch {
            throw ListenRefused(host: own.host, port: own.port, error)
        }
    }

    /// Where it listens: the roster's port, or the one the system chose for port 0.
    package var port: Int? { shared.withLockedValue { $0.listener?.localAddress?.port } }

    package func send(_ frame: [UInt8], to node: NodeID, lane: Lane) -> SendOutcome {
        send([frame], to: node, lane: lane)
    }

    /// Never blocks: what can't be queued now is dropped, counted, and said.
    package func send(_ pieces: [[UInt8]], to node: NodeID, lane: Lane) -> SendOutcome {
        let key = LinkKey(node: node, lane: lane)
        let bytes = pieces.reduce(0) { $0 + $1.count }
        let (outcome, path) = shared.withLockedValue { $0.enqueue(bytes, on: key) }
        guard let path else { return outcome }
        let frame = ByteBuffer.frame(.payload, pieces, path.channel.allocator)
        path.channel.writeAndFlush(frame).whenComplete { _ in
            self.shared.withLockedValue { $0.dequeue(bytes, on: key, path.connection) }
        }
        return outcome
    }

    /// Stops reading this peer's bulk lane, so that TCP slows the sender: the other lanes go on.
    package func pauseReading(from node: NodeID) { setReading(false, node) }
    package func resumeReading(from node: NodeID) { setReading(true, node) }

    private func setReading(_ reads: Bool, _ node: NodeID) {
        let channel = shared.withLockedValue { shared -> (any Channel)? in
            let key = LinkKey(node: node, lane: .bulk)
            shared.links[key]?.isPaused = !reads
            return shared.links[key]?.channel
        }
        channel?.setOption(.autoRead, value: reads).whenComplete { _ in }
    }

    /// Reads the credentials again. New connections use the new ones; standing ones stay, until the
    /// certificate that proved their peer expires. When the files are refused, the old ones stay.
    package func reloadCredentials() throws(CredentialsRefused) {
        let new = try Credentials(paths, expecting: identity.name)
        shared.withLockedValue { $0.credentials = new }
    }

    /// From now on these are the members: links to who left are closed, who came is dialed.
    package func reload(_ roster: Roster) {
        let (closing, dialing) = shared.withLockedValue { $0.adopt(roster) }
        for channel in closing { channel.close(promise: nil) }
        for key in dialing { dial(key) }
    }

    /// From now on these nodes, and no others, are refused though their certificates are valid; their
    /// standing connections are closed.
    package func revoke(_ nodes: [NodeID]) {
        let closing = shared.withLockedValue { shared in
            shared.gate = shared.gate.with(revoked: nodes)
            return shared.keys.filter { nodes.contains($0.node) }
                .compactMap { shared.links[$0]?.channel }
        }
        for channel in closing { channel.close(promise: nil) }
    }

    /// From now on peers that speak less than `level` are refused, and their standing connections are
    /// closed: somebody may have started an older release while the mesh was deciding.
    package func require(_ level: FeatureLevel) {
        let closing = shared.withLockedValue { $0.require(level) }
        for channel in closing { channel.close(promise: nil) }
    }

    package var links: [LinkStatus] {
        shared.withLockedValue { shared in
            shared.keys.compactMap { key in shared.links[key]?.status(key) }
        }
    }

    /// Of each peer that was refused lately and has not come in since, the last refusal.
    package var refusals: Refusals {
        shared.withLockedValue { shared in
            shared.refusals.forget(before: .transportNow - limits.refusalStands)
            return shared.refusals
        }
    }

    /// Until when the certificates in use are valid.
    package var certificates: [CertificateEnd] {
        shared.withLockedValue { $0.credentials.ends }
    }

    /// Closes everything and ends the threads. Nothing is received after it returns.
    package func shutdown() async {
        let channels = shared.withLockedValue { shared -> [any Channel]? in
            guard shared.phase != .stopped else { return nil }
            shared.phase = .stopped
            for key in shared.keys { _ = shared.links[key]?.state.stop() }
            return shared.open.values.map(\.channel) + [shared.listener].compactMap(\.self)
        }
        guard let channels else { return }
        for channel in channels { channel.close(promise: nil) }
        do { try await group.shutdownGracefully() } catch {
            logger.error("event loops did not end", metadata: ["error": "\(error)"])
        }
    }
}

extension Transport {
    private func accept(_ channel: any Channel) throws {
        let (connection, credentials, isCrowded) = shared.withLockedValue { shared in
            (
                shared.newConnection(), shared.credentials,
                shared.strangers >= limits.strangersMax
            )
        }
        guard !isCrowded else {
            let refusal = Refusal(
                .tooManyStrangers, "\(limits.strangersMax) connections have not said who they are",
                address: channel.remoteAddress.map { "\($0)" } ?? "")
            refused(refusal)
            throw refusal
        }
        let tls = NIOSSLServerHandler(context: credentials.server)
        try install(tls, connection, .accepted, channel)
    }

    private func install(
        _ tls: NIOSSLHandler, _ connection: ConnectionID, _ origin: LinkHandler.Origin,
        _ channel: any Channel
    ) throws {
        let stopped = shared.withLockedValue { shared in
            shared.open[connection] = .init(channel: channel, isStranger: origin == .accepted)
            return shared.phase == .stopped
        }
        channel.closeFuture.whenComplete { _ in
            self.shared.withLockedValue { _ = $0.open.removeValue(forKey: connection) }
        }
        guard !stopped else { throw ChannelError.ioOnClosedChannel }
        let handler = LinkHandler(self, connection, origin, tls)
        try channel.pipeline.syncOperations.addHandlers([tls, handler])
    }

    private func dial(_ key: LinkKey) {
        let (action, entry, credentials) = shared.withLockedValue { shared in
            let connection = shared.newConnection()
            return (
                shared.links[key]?.state.dial(connection), shared.gate.roster.entry(key.node),
                shared.credentials
            )
        }
        guard case .dial(let connection)? = action, let entry else { return }
        ClientBootstrap(group: loop(of: key.lane))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connectTimeout(TimeAmount(limits.connectDeadline))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let tls = try NIOSSLClientHandler(
                        context: credentials.client, serverHostname: nil)
                    try self.install(tls, connection, .dialed(key), channel)
                }
            }
            .connect(host: entry.host, port: entry.port)
            .whenFailure { self.lost(connection, key, "cannot connect: \($0)") }
    }

    private func loop(of lane: Lane) -> any EventLoop {
        var loops = group.makeIterator()
        for _ in 0..<lane.rawValue { _ = loops.next() }
        return loops.next() ?? group.next()
    }

    /// False when the connection must close at once.
    func opened(
        _ connection: ConnectionID, _ key: LinkKey, _ channel: any Channel, featureLevel: UInt32
    ) -> Bool {
        let (isUp, old, isPaused) = shared.withLockedValue {
            $0.opened(connection, key, channel, featureLevel: featureLevel)
        }
        old?.close(promise: nil)
        guard isUp else { return false }
        if isPaused { channel.setOption(.autoRead, value: false).whenComplete { _ in } }
        logger.info("link up", metadata: ["node": "\(key.node)", "lane": "\(key.lane)"])
        observe(.up(key.node, key.lane))
        return true
    }

    func lost(_ connection: ConnectionID, _ key: LinkKey, _ reason: String) {
        let (action, wasUp, isNews) = shared.withLockedValue { $0.lost(connection, key, reason) }
        if isNews {
            logger.notice(
                "link down",
                metadata: ["node": "\(key.node)", "lane": "\(key.lane)", "reason": "\(reason)"])
        }
        if case .retry(let failures) = action {
            let wait = shared.withLockedValue { shared in
                LinkState.backoff(
                    failures: failures, floor: limits.backoffFloor,
                    ceiling: limits.backoffCeiling, random: &shared.random)
            }
            loop(of: key.lane).scheduleTask(in: TimeAmount(wait)) { self.dial(key) }
        }
        if wasUp { observe(.down(key.node, key.lane, reason)) }
    }

    func proved(_ connection: ConnectionID, _ key: LinkKey, _ roundTrip: Interval) {
        let isFirst = shared.withLockedValue { shared in
            guard shared.links[key]?.state.upConnection == connection else { return false }
            shared.links[key]?.state.proved(connection)
            defer { shared.links[key]?.roundTrip = roundTrip }
            return shared.links[key]?.roundTrip == nil
        }
        if isFirst { observe(.proved(key.node, key.lane)) }
    }

    func refused(_ refusal: Refusal) {
        let isNews = shared.withLockedValue {
            $0.refusals.note(refusal, roster: $0.gate.roster, at: .transportNow)
        }
        logger.log(
            level: isNews ? .warning : .debug, "peer refused",
            metadata: [
                "cause": "\(refusal.cause)", "address": "\(refusal.address)",
                "peer": "\(refusal.peer.map { "\($0)" } ?? "stranger")",
                "reason": "\(refusal.reason)",
            ])
        observe(.refused(refusal))
    }

    func arrived(_ bytes: Int, on key: LinkKey) {
        shared.withLockedValue { $0.links[key]?.bytesIn += UInt64(bytes) }
    }

    func isPaused(_ key: LinkKey) -> Bool {
        shared.withLockedValue { $0.links[key]?.isPaused == true }
    }
}
