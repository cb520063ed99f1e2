internal import Crypto
internal import FoundationEssentials
internal import Mesh
internal import Sealing

/// Signs requests: AWS Signature Version 4, in the `Authorization` header.
package struct S3Signer: Sendable {
    private static let algorithm = "AWS4-HMAC-SHA256"
    private static let ending = "aws4_request"

    private let credentials: S3Credentials
    private let region: String
    private let service: String

    package init(_ credentials: S3Credentials, region: String, service: String = "s3") {
        (self.credentials, self.region, self.service) = (credentials, region, service)
    }

    /// As it is sent at that time: with the digest of its body, the time, and what vouches for all of it.
    package func signed(_ request: S3Request, host: String, at time: S3Time) -> S3Request {
        var request = request
        request.add("host", host)
        request.add("x-amz-content-sha256", request.bodyDigest.description)
        request.add("x-amz-date", time.text)
        if let token = credentials.token { request.add("x-amz-security-token", token) }
        request.add("authorization", authorization(of: request, at: time))
        return request
    }

    /// Over all the headers that it has by now.
    package func authorization(of request: S3Request, at time: S3Time) -> String {
        let headers = Self.canonical(request.headers)
        let names = headers.map(\.name).joined(separator: ";")
        let canonical = [
            request.method.rawValue, request.path, request.query,
            headers.map { "\($0.name):\($0.value)\n" }.joined(), names,
            request.bodyDigest.description,
        ].joined(separator: "\n")
        let scope = "\(time.day)/\(region)/\(service)/\(Self.ending)"
        let digest = Sealing.Digest(of: Array(canonical.utf8).span)
        let words = "\(Self.algorithm)\n\(time.text)\n\(scope)\n\(digest)"
        let signature = mac(words, key(for: time.day))
        return "\(Self.algorithm) Credential=\(credentials.id)/\(scope), SignedHeaders=\(names), "
            + "Signature=\(Sealing.Digest(of: signature))"
    }

    /// One line for each name, in the order of the names; spaces run together, values of one name with commas.
    private static func canonical(_ headers: [S3Request.Header]) -> [S3Request.Header] {
        var values: [String: [String]] = [:]
        for header in headers {
            let words = header.value.split(separator: " ").joined(separator: " ")
            values[header.name, default: []].append(words)
        }
        return values.sorted { $0.key < $1.key }.map {
            S3Request.Header(name: $0.key, value: $0.value.joined(separator: ","))
        }
    }

    private func key(for day: String) -> SymmetricKey {
        let start = SymmetricKey(data: Array("AWS4\(credentials.secret)".utf8))
        return [day, region, service, Self.ending].reduce(start) { key, word in
            SymmetricKey(data: mac(word, key))
        }
    }

    private func mac(_ text: String, _ key: SymmetricKey) -> HMAC<SHA256>.MAC {
        HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
    }
}

extension Sealing.Digest {
    /// These are 32 bytes already.
    fileprivate init(of code: HMAC<SHA256>.MAC) { self.init(Array(code).span) }
}
