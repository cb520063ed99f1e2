import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Control

@Suite("Answers that come before the question")
struct EarlyAnswerTests {
    private static let refusal = ByteBuffer(
        string: "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno")

    private func channel() throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(EarlyAnswer())
        try channel.pipeline.syncOperations.addHTTPClientHandlers(
            leftOverBytesStrategy: .dropBytes, enableOutboundHeaderValidation: true)
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/admin")).wait()
        return channel
    }

    private func ask(_ channel: EmbeddedChannel) throws {
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: "/", headers: ["host": "localhost"])
        try channel.writeOutbound(HTTPClientRequestPart.head(head))
        try channel.writeOutbound(HTTPClientRequestPart.end(nil))
    }

    private func status(_ channel: EmbeddedChannel) throws -> HTTPResponseStatus? {
        guard case .head(let head) = try channel.readInbound(as: HTTPClientResponsePart.self)
        else { return nil }
        return head.status
    }

    @Test(arguments: [false, true])
    func `why somebody is turned away is read, though it came first`(hangsUp: Bool) throws {
        let channel = try channel()
        try channel.writeInbound(Self.refusal)
        if hangsUp { channel.pipeline.fireChannelInactive() }
        #expect(try status(channel) == nil)
        try ask(channel)
        #expect(try status(channel) == .serviceUnavailable)
        #expect(
            try channel.readInbound(as: HTTPClientResponsePart.self)
                == .body(ByteBuffer(string: "no")))
        #expect(try channel.readInbound(as: HTTPClientResponsePart.self) == .end(nil))
    }

    @Test func `an answer to a question passes at once`() throws {
        let channel = try channel()
        try ask(channel)
        try channel.writeInbound(Self.refusal)
        #expect(try status(channel) == .serviceUnavailable)
    }

    @Test func `who says too much before it was asked is hung up on`() throws {
        let channel = try channel()
        try channel.writeInbound(
            ByteBuffer(repeating: 0, count: EarlyAnswer.byteCountMax + 1))
        #expect(!channel.isActive)
    }
}
