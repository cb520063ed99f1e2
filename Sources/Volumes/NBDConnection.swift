internal import Logging
internal import Mesh
internal import NBDProtocol
internal import NIOCore
internal import NIOSSL
internal import Synchronization
internal import VolumeCore

/// One client from its first byte to its end. Lives on its channel's event loop.
final class NBDConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        case shaking(NBDHandshake)
        case serving(Served)
        /// Reads no more; closes once the last replies have left.
        case leaving
    }

    struct Served {
        let session: NBDSession
        let volume: VolumeID
        let generation: ExportGeneration
    }

    /// A request that is not answered yet.
    struct Pending {
        let request: NBDRequest
        /// Bytes that it holds, or that its answer will.
        let cost: Int
    }

    /// What the next bytes are.
    enum Reading {
        case header
        case data(Pending, [UInt8])
        case discarding(Pending, left: Int, NBDError)
    }

    let server: NBDServer
    let id: ConnectionID
    var phase: Phase
    var reading = Reading.header
    /// Not parsed yet: less than a header, or what must wait for room.
    var input = ByteBuffer()
    var inFlight: [UInt64: Pending] = [:]
    var lastNumber: UInt64 = 0
    /// Until their replies are written, not only made.
    var requestCount = 0
    private(set) var byteCount = 0
    private var writeCount = 0
    /// To be handed over together, like `answers`.
    var events: [ExportEvent] = []
    var answers: [(pending: Pending, answer: Answer)] = []
    private var hasStructuredReplies = false
    var context: ChannelHandlerContext?
    private let scope: NBDServer.Scope
    private let tls: NIOSSLContext?
    private var deadline: Scheduled<Void>?
    private var isBlocked = false
    private var withholdsRead = false

    init(
        _ server: NBDServer, _ id: ConnectionID, _ scope: NBDServer.Scope,
        _ security: NBDHandshake.Security, _ tls: NIOSSLContext?
    ) {
        self.server = server
        self.id = id
        self.scope = scope
        self.tls = tls
        phase = .shaking(NBDHandshake(security))
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        self.context = nil
        hold(-byteCount)
    }

    func channelActive(context: ChannelHandlerContext) {
        schedule(server.limits.handshakeDeadline)
        write(NBDHandshake.greeting)
        context.fireChannelActive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        server.logger.debug("NBD connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    /// Whoever has too much in flight is not read: its own socket slows it.
    func read(context: ChannelHandlerContext) {
        if isBlocked { withholdsRead = true } else { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if case .shaking = phase { return shake(bytes) }
        if input.readableBytes == 0 { input = bytes } else { input.writeBuffer(&bytes) }
        parse()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        handOver()
        context.fireChannelReadComplete()
    }

    /// Takes the replies that the volumes made, if their lease still stands.
    func deliver(
        _ replies: [(number: UInt64, reply: VolumeReply)], _ check: LeaseCheck
    ) {
        for (number, reply) in replies {
            guard let pending = inFlight.removeValue(forKey: number) else { continue }
            guard reply.needsLease, !check.holds else {
                answers.append((pending, Answer(reply)))
                continue
            }
            // A lease that only lapsed may come back: asked again, the request waits for it.
            if check.isOfPresentTenure, case .serving(let served) = phase {
                begin(pending, served)
            } else {
                answers.append((pending, .error(.shuttingDown)))
            }
        }
        handOver()
    }

    /// A generation that ended: what is in flight is refused, then the connection closes.
    func end() {
        for (_, pending) in inFlight.sorted(by: { $0.key < $1.key }) {
            answers.append((pending, .error(.shuttingDown)))
        }
        inFlight = [:]
        leave(within: server.limits.closingDeadline)
        handOver()
    }

    /// Reads no more. Without a deadline what is in flight is waited for.
    func leave(within deadline: Interval?) {
        phase = .leaving
        input = ByteBuffer()
        reading = .header
        isBlocked = true
        if let deadline { schedule(deadline) }
    }

    private func shake(_ bytes: ByteBuffer) {
        guard case .shaking(var handshake) = phase else { return }
        handshake.take(bytes.readableBytesView)
        while true {
            let step = handshake.step(server.offer(scope))
            phase = .shaking(handshake)
            switch step {
            case .wait: return
            case .send(let reply): write(reply)
            case .startTLS(let reply): return startTLS(reply)
            case .enter(let reply, let session, let rest): return enter(reply, session, rest)
            case .close(let reply):
                write(reply)
                context?.close(promise: nil)
                return
            }
        }
    }

    private func startTLS(_ reply: [UInt8]) {
        guard let tls, let context else { return }
        write(reply)
        do {
            try context.pipeline.syncOperations.addHandler(
                NIOSSLServerHandler(context: tls), position: .first)
        } catch { errorCaught(context: context, error: error) }
    }

    private func enter(_ reply: [UInt8], _ session: NBDSession, _ rest: [UInt8]) {
        guard let (volume, generation) = server.enter(id, session.export.name, scope) else {
            server.logger.notice(
                "NBD connection refused: the export has ended or has enough connections",
                metadata: ["volume": "\(session.export.name)"])
            context?.close(promise: nil)
            return
        }
        deadline?.cancel()
        hasStructuredReplies = session.hasStructuredReplies
        phase = .serving(Served(session: session, volume: volume, generation: generation))
        write(reply)
        input = ByteBuffer(bytes: rest)
        parse()
    }

    private func write(_ bytes: [UInt8]) {
        guard let context, !bytes.isEmpty else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    private func schedule(_ interval: Interval) {
        deadline?.cancel()
        guard let context else { return }
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(interval)) {
            self.context?.close(promise: nil)
        }
    }

    /// Counts what is in flight, here and over all connections.
    func hold(_ count: Int) {
        byteCount += count
        server.bytesInFlight.add(count, ordering: .relaxed)
    }

    /// Too much is in flight: no more is parsed, hence read.
    func block() { isBlocked = true }

    /// Passes on what a burst of bytes or replies came to.
    func handOver() {
        if !events.isEmpty {
            server.post(events)
            events = []
        }
        if !answers.isEmpty { writeAnswers() }
        closeIfDone()
    }

    private func writeAnswers() {
        guard let context else { return }
        let batch = answers
        answers = []
        let capacity = batch.reduce(0) { $0 + $1.answer.byteCount + Answer.headByteCountMax }
        var bytes = context.channel.allocator.buffer(capacity: capacity)
        for (pending, answer) in batch {
            answer.write(to: pending.request, isStructured: hasStructuredReplies, &bytes)
        }
        let cost = batch.reduce(0) { $0 + $1.pending.cost }
        let written = context.eventLoop.makePromise(of: Void.self)
        writeCount += 1
        written.futureResult.assumeIsolated().whenComplete { _ in
            self.written(batch.count, cost)
        }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: written)
    }

    private func written(_ count: Int, _ cost: Int) {
        // What a connection held when it ended was given back with it.
        guard context != nil else { return }
        writeCount -= 1
        requestCount -= count
        hold(-cost)
        if case .serving = phase {
            isBlocked = false
            parse()
            if !isBlocked, withholdsRead {
                withholdsRead = false
                context?.read()
            }
        }
        handOver()
    }

    /// The client is let go once nothing more will be said to it.
    private func closeIfDone() {
        guard case .leaving = phase, inFlight.isEmpty, writeCount == 0 else { return }
        context?.close(promise: nil)
    }
}
