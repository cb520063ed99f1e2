package import Mesh
internal import Yams

/// A bucket of an S3-compatible service, and how it is reached.
package struct S3Settings: Hashable, Sendable {
    package enum Addressing: String, Hashable, Sendable, CaseIterable {
        /// The bucket is in the path.
        case path
        /// The bucket is in the host's name.
        case virtualHost
    }

    /// Until when objects can't be deleted by anybody, or only by who may end locks.
    package struct Lock: Hashable, Sendable {
        package enum Mode: String, Hashable, Sendable {
            case compliance
            case governance
        }
        /// Less would run out before anybody noticed a thief.
        package static let daysMin: UInt64 = 7
        package static let daysMax: UInt64 = 36_500

        package let mode: Mode
        package let days: UInt64
    }

    package static let timeoutDefault = Interval.seconds(600)
    package static let timeoutMin = Interval.seconds(1)
    package static let timeoutMax = Interval.seconds(3_600)
    static let prefixBytesMax = 200

    package let bucket: String
    /// What all keys begin with, without slashes at its ends; may be empty.
    package let prefix: String
    package let region: String
    package let endpoint: ServiceAddress
    package let addressing: Addressing
    /// A file's path; what is in it is never part of the settings. nil takes the environment's.
    package let credentials: String?
    /// A file of the authorities that are trusted, instead of this machine's.
    package let ca: String?
    /// How long one object is tried for, all retries together.
    package let timeout: Interval
    /// nil where objects are not locked by us.
    package let lock: Lock?

    /// Relative paths in the file are relative to the file. An agent has no environment to take credentials from. Adds what is
    /// wrong to `document`, and is nil then.
    init?(_ placed: Section.Placed<Node>, in document: inout Section, isForAgent: Bool) {
        let file = document.file
        var s3 = Section(placed.value, file: file, path: placed.key)
        let bucket = s3.required(
            "bucket", expected: "a bucket's name (3 to 63 of a-z 0-9 - .)", parse: Self.bucket)
        let prefix = s3.optional(
            "prefix", expected: "names with slashes between them, such as holdfast/site-a",
            parse: Self.prefix)
        let region = s3.required(
            "region",
            expected: "a region, such as eu-central-1 (us-east-1 for most that are not AWS)",
            parse: Self.region)
        let endpoint = Self.endpoint(&s3)
        let addressing = s3.optional(
            "addressing", expected: "path or virtualHost", parse: Addressing.init(rawValue:))
        let path = Section.path(beside: file)
        let words = "a file's path, of mode 0600, with the access key and its secret"
        let credentials =
            isForAgent
            ? s3.required("credentials", expected: words, parse: path)
            : s3.optional("credentials", expected: words, parse: path)
        let ca = s3.optional("ca", expected: "a file's path", parse: path)
        let timeout = s3.optional(
            "timeout", expected: "a duration of \(Self.timeoutMin) to \(Self.timeoutMax)"
        ) { text in
            Interval(duration: text).flatMap {
                (Self.timeoutMin...Self.timeoutMax).contains($0) ? $0 : nil
            }
        }
        let lock = Self.lock(&s3)
        let faults = s3.finish()
        document.adopt(faults)
        guard faults.isEmpty, let bucket, let region else { return nil }
        (self.bucket, self.prefix, self.region) = (bucket.value, prefix?.value ?? "", region.value)
        self.endpoint = endpoint?.value ?? .amazon("s3", region.value)
        self.addressing = addressing?.value ?? .path
        (self.credentials, self.ca) = (credentials?.value, ca?.value)
        self.timeout = timeout?.value ?? Self.timeoutDefault
        self.lock = lock
    }

    private static func lock(_ s3: inout Section) -> Lock? {
        guard let placed = s3.node("lock") else { return nil }
        var section = Section(placed.value, file: s3.file, path: placed.key)
        let mode = section.required(
            "mode",
            expected: "compliance (nobody can end it), or governance (who is allowed to can)",
            parse: Lock.Mode.init(rawValue:))
        let range = Lock.daysMin...Lock.daysMax
        let days = section.required(
            "days", expected: "a number of days from \(Lock.daysMin) to \(Lock.daysMax)"
        ) { text in UInt64(text).flatMap { range.contains($0) ? $0 : nil } }
        s3.adopt(section.finish())
        guard let mode, let days else { return nil }
        return Lock(mode: mode.value, days: days.value)
    }

    /// In the clear only where nobody can listen, or where it is allowed in so many words.
    private static func endpoint(_ s3: inout Section) -> Section.Placed<ServiceAddress>? {
        let endpoint = s3.optional(
            "endpoint", expected: "https://host or https://host:port",
            parse: ServiceAddress.init(_:))
        let allowed = s3.optional("plainHTTP", expected: "true or false") { Bool($0) }
        if let endpoint, !endpoint.value.isEncrypted, !endpoint.value.isLoopback,
            allowed?.value != true
        {
            s3.report(
                endpoint.key, line: endpoint.line,
                "\(endpoint.value) is not encrypted: who listens learns what is stored, and when; give "
                    + "https://, or allow it with plainHTTP: true")
        }
        return endpoint
    }

    private static func bucket(_ text: String) -> String? {
        let isLawful = text.utf8.allSatisfy { isLower($0) || [0x2d, 0x2e].contains($0) }
        return (3...63).contains(text.utf8.count) && isLawful ? text : nil
    }

    static func region(_ text: String) -> String? {
        let isLawful = text.utf8.allSatisfy { isLower($0) || $0 == 0x2d }
        return (1...64).contains(text.utf8.count) && isLawful ? text : nil
    }

    private static func prefix(_ text: String) -> String? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let isLawful = parts.allSatisfy { part in
            !part.isEmpty && part != "." && part != ".."
                && part.utf8.allSatisfy {
                    isLower($0) || (0x41...0x5a).contains($0) || [0x2d, 0x2e, 0x5f].contains($0)
                }
        }
        return text.utf8.count <= prefixBytesMax && isLawful ? text : nil
    }

    private static func isLower(_ byte: UInt8) -> Bool {
        (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte)
    }
}

/// Where a service answers: `https://host:port`.
package struct ServiceAddress: Hashable, Sendable, CustomStringConvertible {
    package let isEncrypted: Bool
    package let host: String
    /// nil is the usual one.
    package let port: UInt16?

    static func amazon(_ service: String, _ region: String) -> ServiceAddress {
        let suffix = region.hasPrefix("cn-") ? ".cn" : ""
        return ServiceAddress(
            isEncrypted: true, host: "\(service).\(region).amazonaws.com\(suffix)", port: nil)
    }

    private init(isEncrypted: Bool, host: String, port: UInt16?) {
        (self.isEncrypted, self.host, self.port) = (isEncrypted, host, port)
    }

    /// nil for what is no such address: names, keys and paths have no place in it.
    init?(_ text: String) {
        guard let scheme = ["https://", "http://"].first(where: { text.hasPrefix($0) }) else {
            return nil
        }
        isEncrypted = scheme == "https://"
        var rest = text.dropFirst(scheme.count)
        if rest.hasSuffix("/") { rest.removeLast() }
        if let given = Endpoint(String(rest)) {
            (host, port) = (given.host, given.port)
        } else {
            guard let usual = Endpoint("\(rest):443") else { return nil }
            (host, port) = (usual.host, nil)
        }
    }

    var isLoopback: Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        let isFour = parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
        return host == "localhost" || host == "::1" || (isFour && parts[0] == "127")
    }

    /// As the header `host` names it.
    package var hostHeader: String {
        let name = host.contains(":") ? "[\(host)]" : host
        let usual: UInt16 = isEncrypted ? 443 : 80
        return name + (port.flatMap { $0 == usual ? nil : ":\($0)" } ?? "")
    }

    package var description: String { (isEncrypted ? "https://" : "http://") + hostHeader }
}
