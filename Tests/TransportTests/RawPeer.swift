import NIOCore
import NIOPosix
import NIOSSL

@testable import Transport

/// A peer that says what it is told to, over honest TLS: what a hostile or future node could send.
enum RawPeer {
    private final class Script: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let script: [[UInt8]]
        private let heard: EventLoopPromise<[UInt8]>
        private var bytes: [UInt8] = []

        init(_ script: [[UInt8]], _ heard: EventLoopPromise<[UInt8]>) {
            self.script = script
            self.heard = heard
        }
        func channelActive(context: ChannelHandlerContext) {
            for part in script {
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: part)), promise: nil)
            }
        }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += Array(unwrapInboundIn(data).readableBytesView)
        }
        func channelInactive(context: ChannelHandlerContext) { heard.succeed(bytes) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    /// Connects, sends `script`, and returns what it heard until the other side closed.
    static func say(
        _ script: [[UInt8]], to port: Int, as paths: CredentialPaths
    ) async throws -> [UInt8] {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .file(paths.ca)
        tls.certificateVerification = .noHostnameVerification
        tls.certificateChain = try NIOSSLCertificate.fromPEMFile(paths.certificate).map {
            .certificate($0)
        }
        tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: paths.key, format: .pem))
        let context = try NIOSSLContext(configuration: tls)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let heard = loop.makePromise(of: [UInt8].self)
        do {
            _ = try await ClientBootstrap(group: loop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandlers([
                            try NIOSSLClientHandler(context: context, serverHostname: nil),
                            Script(script, heard),
                        ])
                    }
                }
                .connect(host: "127.0.0.1", port: port).get()
        } catch {
            heard.fail(error)
        }
        return try await heard.futureResult.get()
    }

    static func frame(_ kind: FrameKind, _ payload: [UInt8]) -> [UInt8] {
        Array(ByteBuffer.frame(kind, [payload], ByteBufferAllocator()).readableBytesView)
    }
}
