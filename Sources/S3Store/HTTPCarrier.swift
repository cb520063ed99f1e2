internal import AsyncHTTPClient
internal import Glibc
package import Mesh
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
package import S3Protocol

/// Carries requests over HTTP/1.1, one after the other on each of a few connections.
package final class HTTPCarrier: S3Carrier {
    private static let connectionsMax = 8
    /// Unused ones are closed before most services do it, which would cost a try.
    private static let unusedMax = TimeAmount.seconds(15)

    /// `https://host:port`
    private let origin: String
    /// Who answers there, as failures call it.
    private let service: String
    private let patience: S3Patience
    private let client: HTTPClient

    /// `authorities` is a file of certificates that are trusted instead of this machine's.
    package convenience init(
        _ place: S3Place, _ patience: S3Patience, authorities: String?
    ) throws(S3Mishap) {
        try self.init(place.origin, "the store", patience, authorities: authorities)
    }

    package init(
        _ origin: String, _ service: String, _ patience: S3Patience, authorities: String?
    ) throws(S3Mishap) {
        (self.origin, self.service, self.patience) = (origin, service, patience)
        var settings = HTTPClient.Configuration(
            tlsConfiguration: try Self.tls(authorities), redirectConfiguration: .disallow,
            timeout: .init(
                connect: patience.connecting.amount, read: patience.silence.amount,
                write: patience.silence.amount))
        settings.httpVersion = .http1Only
        settings.connectionPool.idleTimeout = Self.unusedMax
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = Self.connectionsMax
        // The store counts tries, and says what each met with.
        settings.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    }

    deinit { client.shutdown { _ in } }

    private static func tls(_ authorities: String?) throws(S3Mishap) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        guard let authorities else { return tls }
        do {
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authorities))
        } catch {
            throw .hopeless("\(authorities) can't be read as certificates (PEM): \(error)")
        }
        return tls
    }

    package func carry(
        _ request: S3Request, _ body: [UInt8], answerMax: Int, within limit: Interval
    ) throws(S3Mishap) -> S3Answer {
        do {
            let sent = try HTTPClient.Request(
                url: origin + request.target, method: HTTPMethod(rawValue: request.method.rawValue),
                headers: HTTPHeaders(request.headers.map { ($0.name, $0.value) }),
                body: [.put, .post].contains(request.method) ? .bytes(body) : nil)
            let answer = try client.execute(
                request: sent, delegate: ResponseAccumulator(request: sent, maxBodySize: answerMax),
                deadline: .now() + limit.amount
            ).wait()
            let headers = answer.headers.map { ($0.name.lowercased(), $0.value) }
            return S3Answer(
                status: Int(answer.status.code),
                headers: Dictionary(headers) { first, _ in first },
                body: answer.body.map { Array($0.readableBytesView) } ?? [])
        } catch { throw mishap(error, limit) }
    }

    private func mishap(_ error: any Error, _ limit: Interval) -> S3Mishap {
        if error is ResponseAccumulator.ResponseTooBigError { return .tooLong }
        guard let known = error as? HTTPClientError else { return other(error) }
        switch known {
        case .connectTimeout: return .broken("no connection within \(patience.connecting)")
        case .readTimeout, .writeTimeout:
            return .broken("\(service) does not answer: nothing came for \(patience.silence)")
        case .deadlineExceeded:
            return .broken("\(service) does not answer: it was not done within \(limit)")
        case .remoteConnectionClosed:
            return .broken("\(service) closed the connection in the middle")
        default: return other(error)
        }
    }

    /// A certificate that is not trusted is not trusted a second later either.
    private func other(_ error: any Error) -> S3Mishap {
        let words = S3Problem.shown(Self.words(error))
        guard "\(error)".contains("CERTIFICATE_VERIFY_FAILED") else {
            return .broken("\(service) can't be reached: \(words)")
        }
        return .hopeless(
            "the certificate of \(service) is not trusted: give the authority that signed it as ca "
                + "(\(words))")
    }

    /// Of what the system says only that: where in a library it was said helps nobody.
    private static func words(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { words($0.error) }
                ?? "no address of \(error.host) answers"
        case let error as IOError: unsafe String(cString: strerror(error.errnoCode))
        default: "\(error)"
        }
    }
}

extension Interval {
    fileprivate var amount: TimeAmount { .nanoseconds(Int64(clamping: nanoseconds)) }
}
