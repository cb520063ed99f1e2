/// Where in which service a repository's objects are.
package struct S3Place: Hashable, Sendable, CustomStringConvertible {
    /// Whether a bucket is named in the path, or in the host's name.
    package enum Addressing: String, Hashable, Sendable, CaseIterable {
        case path
        case virtualHost
    }

    package let isEncrypted: Bool
    package let region: String
    package let bucket: String
    /// What all keys begin with, without a slash at its end; empty where they are the names themselves.
    package let prefix: String
    /// With the port, where that is not the usual one.
    private let endpoint: String
    private let addressing: Addressing

    package init(
        isEncrypted: Bool, host: String, port: UInt16?, region: String, bucket: String,
        prefix: String, addressing: Addressing
    ) {
        (self.isEncrypted, self.region, self.bucket) = (isEncrypted, region, bucket)
        (self.prefix, self.addressing) = (prefix, addressing)
        let name = host.contains(":") ? "[\(host)]" : host
        let usual: UInt16 = isEncrypted ? 443 : 80
        endpoint = port.flatMap { $0 == usual ? nil : "\(name):\($0)" } ?? name
    }

    private var scheme: String { isEncrypted ? "https" : "http" }

    /// As the header `host` names it.
    package var host: String {
        switch addressing {
        case .path: endpoint
        case .virtualHost: "\(bucket).\(endpoint)"
        }
    }

    package var description: String {
        "s3://\(bucket)" + (prefix.isEmpty ? "" : "/\(prefix)") + " at \(scheme)://\(endpoint)"
    }

    package var origin: String { "\(scheme)://\(host)" }

    /// The path of the bucket itself.
    package var path: String { addressing == .path ? "/\(PercentEncoding.text(bucket))" : "/" }

    /// The path of the object with that name.
    package func path(_ name: String) -> String {
        (addressing == .path ? path : "") + "/"
            + PercentEncoding.text(key(name), keepingSlashes: true)
    }

    package func key(_ name: String) -> String { prefix.isEmpty ? name : "\(prefix)/\(name)" }

    /// What a key is called here; nil for one of another place.
    package func name(_ key: String) -> String? {
        guard !prefix.isEmpty else { return key }
        guard key.hasPrefix("\(prefix)/") else { return nil }
        return String(key.dropFirst(prefix.count + 1))
    }
}
