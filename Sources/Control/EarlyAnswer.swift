internal import NIOCore

/// Holds back what comes before anything was asked. An agent that has no room says so and hangs up at
/// once; the decoder would take that for an answer to nothing, and the reason would be lost.
final class EarlyAnswer: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What says why it turns somebody away is a page at most.
    static let byteCountMax = 64 << 10

    private var hasAsked = false
    private var held = ByteBuffer()
    private var hasEnded = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasAsked else { return context.fireChannelRead(data) }
        var bytes = unwrapInboundIn(data)
        held.writeBuffer(&bytes)
        if held.readableBytes > Self.byteCountMax { context.close(promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if hasAsked { context.fireChannelReadComplete() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if hasAsked { context.fireChannelInactive() } else { hasEnded = true }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        context.write(data, promise: promise)
        guard !hasAsked else { return }
        hasAsked = true
        if held.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(held))
            context.fireChannelReadComplete()
            held.clear()
        }
        if hasEnded { context.fireChannelInactive() }
    }
}
