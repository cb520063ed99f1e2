internal import NIOCore
internal import NIOHTTP1

/// Asks as soon as the connection is there, before anything can be read from it. An agent that has no room says so and hangs up at
/// once; the decoder takes nothing for an answer that comes before the question, and a pipeline whose connection is gone takes no
/// question any more: either way the reason would be lost.
final class Question: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let request: AdminRequest

    init(_ request: AdminRequest) { self.request = request }

    func channelActive(context: ChannelHandlerContext) {
        var head = HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: request.method), uri: request.target)
        head.headers.add(name: "host", value: "localhost")
        head.headers.add(name: "content-length", value: "\(request.body.count)")
        if !request.body.isEmpty {
            head.headers.add(name: "content-type", value: "application/json")
        }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        let body = context.channel.allocator.buffer(bytes: request.body)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        // Where it fails the answer says why, or that there is none.
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }
}
