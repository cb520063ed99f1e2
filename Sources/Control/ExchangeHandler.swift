internal import NIOCore
internal import NIOHTTP1

/// Carries one connection's `Exchange` out on its event loop.
final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let door: any AdminDoor
    private let limits: ControlLimits
    private var exchange: Exchange
    private var timer: Scheduled<Void>?
    private var call: Task<Void, Never>?

    init(door: any AdminDoor, limits: ControlLimits, refusal: HTTPRefused?) {
        self.door = door
        self.limits = limits
        exchange = Exchange(refusal: refusal)
    }

    func channelActive(context: ChannelHandlerContext) {
        rearm(context)
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        step(context) { $0.close() }
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            let announced = head.headers.first(name: "content-length").flatMap(Int.init)
            step(context) {
                $0.head(method: head.method.rawValue, target: head.uri, announced: announced)
            }
        case .body(let buffer): step(context) { $0.body(buffer.readableBytesView) }
        case .end: step(context) { $0.end() }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.headerOverflow: step(context) { $0.refused(.headTooLong) }
        case is HTTPParserError:
            step(context) { $0.refused(.malformed(why: "These bytes are not HTTP/1.1: \(error).")) }
        default: step(context) { $0.close() }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { step(context) { $0.inputClosed() } }
        context.fireUserInboundEventTriggered(event)
    }

    private func step(
        _ context: ChannelHandlerContext, _ event: (inout Exchange) -> Exchange.Action
    ) {
        let before = exchange.state
        let action = event(&exchange)
        if exchange.state != before { rearm(context) }
        switch action {
        case .nothing: break
        case .ask(let route): ask(route, context)
        case .answer(let answer): send(answer, context)
        case .close:
            end()
            context.close(promise: nil)
        }
    }

    private func rearm(_ context: ChannelHandlerContext) {
        // A body that trickles in must not push the deadline away: only a new state does.
        if case .receiving(.some) = exchange.state { return }
        timer?.cancel()
        timer = exchange.deadline(limits).map { wait in
            context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(wait)) {
                self.step(context) { $0.late(self.limits) }
            }
        }
    }

    private func ask(_ route: Route, _ context: ChannelHandlerContext) {
        // The exchange takes nothing more: what else is sent stays in the sender's kernel.
        context.channel.setOption(.autoRead, value: false).whenComplete { _ in }
        let promise = context.eventLoop.makePromise(of: Answer.self)
        let door = self.door
        call = promise.completeWithTask { await Answer(to: route, from: door) }
        promise.futureResult.assumeIsolated().whenSuccess { answer in
            self.step(context) { $0.answered(answer) }
        }
    }

    private func send(_ answer: Answer, _ context: ChannelHandlerContext) {
        var head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status))
        if answer.status != 204 {
            head.headers.add(name: "content-type", value: answer.mediaType)
            head.headers.add(name: "content-length", value: "\(answer.body.count)")
        }
        if !answer.allowed.isEmpty {
            head.headers.add(name: "allow", value: answer.allowed.joined(separator: ", "))
        }
        head.headers.add(name: "cache-control", value: "no-store")
        head.headers.add(name: "connection", value: "close")
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        let body = context.channel.allocator.buffer(bytes: answer.body)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in
            self.step(context) { $0.fetched() }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }

    private func end() {
        timer?.cancel()
        call?.cancel()
        (timer, call) = (nil, nil)
    }
}
