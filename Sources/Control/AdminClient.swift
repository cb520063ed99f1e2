package import Admin
internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Why a question got no answer.
package enum AskFailed: Error, Hashable, Sendable {
    /// Nobody answers there.
    case unreachable(path: String, why: String)
    /// Somebody may answer there, and not to this user; `owner` may ask, as far as can be seen.
    case forbidden(path: String, owner: String?)
    /// The node answered, and said no.
    case refused(Problem)
    /// Somebody took the question and did not answer in time.
    case late(path: String, seconds: Int64)
    case garbled(path: String, why: String)
}

/// Asks a node through its admin socket: one connection for each question.
package struct AdminClient: Sendable {
    package let path: String
    private let limits: ControlLimits

    package init(path: String, limits: ControlLimits = ControlLimits()) {
        self.path = path
        self.limits = limits
    }

    package func ask<Value: Decodable & Sendable>(
        _ route: Route, for type: Value.Type
    ) async throws(AskFailed) -> Value {
        let bytes = try await ask(route)
        do { return try JSON.decoded(type, from: bytes) } catch {
            throw .garbled(path: path, why: error.why)
        }
    }

    /// The answer's JSON as it came; empty where there is nothing to say.
    package func ask(_ route: Route) async throws(AskFailed) -> [UInt8] {
        let reply = try await reply(to: route.request)
        guard (200...299).contains(reply.status) else {
            let problem = try? JSON.decoded(Problem.self, from: reply.body)
            throw problem.map(AskFailed.refused)
                ?? .garbled(path: path, why: "status \(reply.status) without a reason")
        }
        return reply.body
    }

    private struct Reply: Sendable {
        var status = 0
        var body: [UInt8] = []
    }

    private typealias Wire = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    private func reply(to request: AdminRequest) async throws(AskFailed) -> Reply {
        do {
            let limit = limits.clientDeadline
            return try await withThrowingTaskGroup(of: Reply?.self) { tasks in
                tasks.addTask { try await exchange(request) }
                tasks.addTask {
                    try await Task.sleep(for: limit)
                    return nil
                }
                defer { tasks.cancelAll() }
                guard let reply = try await tasks.next() ?? nil else {
                    throw AskFailed.late(path: path, seconds: limit.components.seconds)
                }
                return reply
            }
        } catch let error as AskFailed {
            throw error
        } catch {
            throw .garbled(path: path, why: "\(error)")
        }
    }

    private func exchange(_ request: AdminRequest) async throws -> Reply {
        try await connect(request).executeThenClose { inbound, _ in
            var reply = Reply()
            for try await part in inbound {
                switch part {
                case .head(let head): reply.status = Int(head.status.code)
                case .body(let buffer):
                    reply.body += buffer.readableBytesView
                    guard reply.body.count <= ControlLimits.answerBytesMax else {
                        throw AskFailed.garbled(path: path, why: "its answer is endless")
                    }
                case .end: return reply
                }
            }
            throw AskFailed.garbled(path: path, why: "it hung up in mid-answer")
        }
    }

    private func connect(_ request: AdminRequest) async throws -> Wire {
        do {
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(TimeAmount(limits.clientDeadline))
                .connect(unixDomainSocketPath: path) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers(
                            leftOverBytesStrategy: .dropBytes, enableOutboundHeaderValidation: true)
                        try channel.pipeline.syncOperations.addHandler(Question(request))
                        return try Wire(wrappingChannelSynchronously: channel)
                    }
                }
        } catch let error as IOError where [EACCES, EPERM].contains(error.errnoCode) {
            throw AskFailed.forbidden(path: path, owner: Self.owner(of: path))
        } catch let error as IOError {
            throw AskFailed.unreachable(path: path, why: Self.words(of: error.errnoCode))
        } catch {
            throw AskFailed.unreachable(path: path, why: "\(error)")
        }
    }

    /// Whose the socket is, or the nearest directory above it that this user may look at.
    private static func owner(of path: String) -> String? {
        var path = path
        var status = stat()
        while unsafe stat(path, &status) != 0 {
            guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return nil }
            path = String(path[..<slash])
        }
        guard status.st_uid != 0, let entry = unsafe getpwuid(status.st_uid) else { return nil }
        return unsafe String(cString: entry.pointee.pw_name)
    }

    private static func words(of code: CInt) -> String {
        switch code {
        case ENOENT: "there is no such socket"
        case ECONNREFUSED: "nobody listens there: the agent has died or is stopped"
        default: unsafe String(cString: strerror(code))
        }
    }
}
