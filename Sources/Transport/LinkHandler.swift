internal import Mesh
internal import NIOCore
internal import NIOSSL
internal import NIOTLS

/// One connection from its TLS handshake to its end: proves the peer, exchanges hellos, then moves
/// frames. Lives on its channel's event loop; what outlives the connection is the hub's.
final class LinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Origin: Hashable, Sendable {
        case dialed(LinkKey)
        case accepted

        var key: LinkKey? { if case .dialed(let key) = self { key } else { nil } }
    }

    private enum Phase {
        case securing
        case greeting(PeerName)
        case open(LinkKey)
        case ended
    }

    private let hub: Transport
    private let connection: ConnectionID
    private let origin: Origin
    private let tls: NIOSSLHandler
    private var phase = Phase.securing
    private var reader = FrameReader(payloadBytesMax: Hello.bytesMax)
    private var context: ChannelHandlerContext?
    private var timer: Scheduled<Void>?
    private var lastHeard = NIODeadline.now()
    private var pingSent: (nonce: UInt64, at: NIODeadline)?
    private var nextNonce: UInt64 = 0
    private var expiresCheck: NIOSSLCertificate?

    init(_ hub: Transport, _ connection: ConnectionID, _ origin: Origin, _ tls: NIOSSLHandler) {
        self.hub = hub
        self.connection = connection
        self.origin = origin
        self.tls = tls
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        let deadline = hub.limits.greetingDeadline
        schedule(after: deadline) { handler in
            handler.refuse(.deadline, "TLS and hello took longer than \(deadline)")
        }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end("closed by the peer")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch phase {
        case .securing, .greeting:
            let refusal = TLSFailure.explain(error, tls.peerCertificate)
            refuse(refusal.cause, refusal.reason)
        case .open, .ended: close("\(error)")
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { secured() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        lastHeard = .now()
        if case .open(let key) = phase { hub.arrived(bytes.readableBytes, on: key) }
        reader.push(&bytes)
        do {
            while let frame = try reader.next() {
                take(frame)
                if case .ended = phase { return }
            }
        } catch .oversized(let bytes, let max) {
            refuse(.oversizedFrame, "a frame of \(bytes) bytes, at most \(max) are lawful")
        } catch {
            refuse(.malformedFrame, "\(error)")
        }
    }

    private func secured() {
        guard case .securing = phase else { return }
        let dialed = origin.key?.node
        guard let certificate = tls.peerCertificate else {
            return refuse(.noCertificate, "no certificate was shown")
        }
        let name: PeerName
        do { name = try certificate.peerName } catch {
            return refuse(.unnamedCertificate, "certificate's name is refused: \(error)")
        }
        guard !certificate.isExpired else {
            return refuse(.expiredCertificate, "certificate of \(name) has expired")
        }
        if let refusal = hub.gate.judge(name, dialed: dialed) { return refuse(refusal) }
        expiresCheck = certificate
        phase = .greeting(name)
        if let key = origin.key { greet(on: key.lane) }
    }

    private func greet(on lane: Lane) {
        let hello = Hello(hub.identity.name, lane: lane, featureLevel: hub.identity.featureLevel)
        write(.hello, hello.encoded)
    }

    private func take(_ frame: Frame) {
        switch (phase, frame.kind) {
        case (.greeting(let name), .hello): greeted(frame.payload, provedBy: name)
        case (.open(let key), .payload): hub.receive(key.node, key.lane, frame.payload)
        case (.open, .ping):
            // A peer that pings and never reads would else have us hold its pongs.
            if context?.channel.isWritable == true { write(.pong, frame.payload) }
        case (.open(let key), .pong): pong(frame.payload, on: key)
        case (_, .refusal):
            let cause = frame.payload.first.flatMap(RefusalCause.init(rawValue:))
            close("refused by the peer: \(cause.map { "\($0)" } ?? "cause unknown")")
        case (.greeting, _): refuse(.wrongHello, "first frame is \(frame.kind), not hello")
        case (.open, .hello): refuse(.malformedFrame, "a second hello")
        case (.securing, _), (.ended, _): break
        }
    }

    private func greeted(_ payload: [UInt8], provedBy name: PeerName) {
        let hello: Hello
        do { hello = try Hello(parsing: payload) } catch {
            return refuse(.wrongHello, "hello cannot be read: \(error)", peer: name.node)
        }
        let dialedLane = origin.key?.lane
        if let refusal = hub.gate.judge(hello, provedBy: name, dialed: dialedLane) {
            return refuse(refusal)
        }
        guard let channel = context?.channel else { return }
        let key = LinkKey(node: name.node, lane: hello.lane)
        // Our hello goes first: once the hub knows the channel, others write to it.
        if dialedLane == nil { greet(on: hello.lane) }
        phase = .open(key)
        reader.payloadBytesMax = hello.lane.frameBytesMax
        timer?.cancel()
        guard hub.opened(connection, key, channel, featureLevel: hello.featureLevel) else {
            return close("superseded")
        }
        beat(on: key)
    }

    /// Every second: is the peer alive, is what proved it still valid, how far is it?
    private func beat(on key: LinkKey) {
        let now = NIODeadline.now()
        if hub.isPaused(key) {
            // Who doesn't read can't judge silence.
            lastHeard = now
        } else if now - lastHeard > TimeAmount(hub.limits.silenceMax) {
            return close("silent for longer than \(hub.limits.silenceMax)")
        }
        // The connection that a renewed peer dials next is proved by its new certificate.
        if expiresCheck?.isExpired == true {
            return refuse(.expiredCertificate, "certificate expired while connected")
        }
        // Behind a backlog a ping would only wait; the backlog's own bytes are a sign of life. Sent
        // again with the same nonce while unanswered, so that the peer hears us meanwhile.
        if context?.channel.isWritable == true {
            if pingSent == nil {
                nextNonce += 1
                pingSent = (nextNonce, now)
            }
            var payload: [UInt8] = []
            payload.append(littleEndian: nextNonce)
            write(.ping, payload)
        }
        schedule(after: hub.limits.pingEvery) { $0.beat(on: key) }
    }

    private func pong(_ payload: [UInt8], on key: LinkKey) {
        var reader = ByteReader(payload)
        guard let sent = pingSent, (try? reader.u64()) == sent.nonce else { return }
        pingSent = nil
        let took = NIODeadline.now() - sent.at
        hub.proved(connection, key, Interval(nanoseconds: UInt64(max(took.nanoseconds, 0))))
    }

    private func write(_ kind: FrameKind, _ payload: [UInt8]) {
        guard let context else { return }
        let frame = ByteBuffer.frame(kind, [payload], context.channel.allocator)
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }

    private func refuse(_ cause: RefusalCause, _ reason: String, peer: NodeID? = nil) {
        var known = peer ?? origin.key?.node
        if case .open(let key) = phase { known = key.node }
        refuse(Refusal(cause, reason, peer: known))
    }

    private func refuse(_ refusal: Refusal) {
        if case .ended = phase { return }
        var refusal = refusal
        refusal.address = context?.remoteAddress.map { "\($0)" } ?? ""
        hub.refused(refusal)
        if case .securing = phase {
            // Before the handshake there is no way to tell the peer but TLS's own alerts.
        } else {
            write(.refusal, [refusal.cause.rawValue])
        }
        close("refused: \(refusal.reason)")
    }

    private func close(_ reason: String) {
        end(reason)
        context?.close(promise: nil)
    }

    /// Tells the hub once.
    private func end(_ reason: String) {
        let key: LinkKey?
        switch phase {
        case .ended: return
        case .open(let open): key = open
        case .securing, .greeting: key = origin.key
        }
        phase = .ended
        timer?.cancel()
        if let key { hub.lost(connection, key, reason) }
    }

    private func schedule(
        after interval: Interval, _ body: @escaping (LinkHandler) -> Void
    ) {
        guard let context else { return }
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(interval)) {
            body(self)
        }
    }
}

extension Instant {
    /// Compares with itself alone: it counts from the machine's start without its sleep.
    static var transportNow: Instant {
        Instant(nanoseconds: NIODeadline.now().uptimeNanoseconds)
    }
}

extension TimeAmount {
    init(_ interval: Interval) {
        self = .nanoseconds(Int64(clamping: interval.nanoseconds))
    }
}
