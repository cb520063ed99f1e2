internal import Certificates
internal import Mesh
internal import Settings
internal import Store
internal import SwiftASN1
internal import X509

extension FuzzTarget {
    static let texts = [
        FuzzTarget(
            "cluster-file", byteCountMax: 1_024, seeds: { TextSamples.clusterFiles },
            body: clusterFile),
        FuzzTarget(
            "node-file", byteCountMax: 1_024, seeds: { TextSamples.nodeFiles }, body: nodeFile),
        FuzzTarget("peer-name", byteCountMax: 256, seeds: { TextSamples.names }, body: peerName),
        FuzzTarget(
            "certificate", byteCountMax: 1_024, seeds: { try TextSamples.certificates() },
            body: certificate),
        FuzzTarget(
            "identity", byteCountMax: 256, seeds: { TextSamples.identities }, body: identity),
    ]

    /// A file that is understood means what its plainest spelling means; a fault says what and where.
    private static func clusterFile(_ bytes: [UInt8]) throws -> Verdict {
        try settings(bytes, spelling: TextSamples.spelling) { text throws(Faults) in
            try ClusterSettings(parsing: text, file: "/etc/holdfast/cluster.yaml")
        }
    }

    private static func nodeFile(_ bytes: [UInt8]) throws -> Verdict {
        try settings(bytes, spelling: TextSamples.spelling) { text throws(Faults) in
            try NodeSettings(parsing: text, file: "/etc/holdfast/node.yaml")
        }
    }

    private static func settings<Settings: Equatable>(
        _ bytes: [UInt8], spelling: (Settings) -> String, parse: (String) throws(Faults) -> Settings
    ) throws -> Verdict {
        let settings: Settings
        do throws(Faults) { settings = try parse(String(decoding: bytes, as: UTF8.self)) } catch {
            try promise(!error.all.isEmpty, "who refuses a file names a fault")
            for fault in error.all {
                try promise(
                    !fault.problem.isEmpty && fault.line.map { $0 >= 1 } ?? true,
                    "a fault says what and where")
            }
            return .refused
        }
        try promise(
            try parse(spelling(settings)) == settings,
            "a file means what its plainest spelling means")
        return .accepted
    }

    /// Names have one spelling: as a certificate's URIs, one a line, and as an operator writes them.
    private static func peerName(_ bytes: [UInt8]) throws -> Verdict {
        let text = String(decoding: bytes, as: UTF8.self)
        let isName = try names(text)
        let uris = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard let name = try? PeerName(amongURIs: uris) else {
            return isName ? .accepted : .refused
        }
        try promise(uris.contains(name.description), "a peer's name is one of its certificate's")
        try promise(
            try PeerName(amongURIs: [name.description]) == name, "a peer's name has one spelling")
        return .accepted
    }

    private static func names(_ text: String) throws -> Bool {
        let (region, cluster) = (RegionName(text), ClusterID(text))
        let (store, endpoint) = (StoreID(text), Endpoint(text))
        if let region { try promise(region.description == text, "a region's name is its text") }
        if let cluster {
            try promise(ClusterID(cluster.description) == cluster, "an id is read back as it was")
        }
        if let store {
            try promise(StoreID(store.description) == store, "an id is read back as it was")
        }
        if let endpoint {
            try promise(
                Endpoint(endpoint.description) == endpoint, "an address is read back as it was")
        }
        let isDuration = Interval(duration: text) != nil
        return isDuration || region != nil || cluster != nil || store != nil || endpoint != nil
    }

    /// A certificate in DER, as a peer shows it: whatever else it says, its name has one spelling.
    private static func certificate(_ bytes: [UInt8]) throws -> Verdict {
        guard let certificate = try? Certificate(derEncoded: bytes),
            let name = try? PeerName(parsing: certificate)
        else { return .refused }
        try promise(
            try PeerName(amongURIs: [name.description]) == name, "a peer's name has one spelling")
        return .accepted
    }

    private static func identity(_ bytes: [UInt8]) throws -> Verdict {
        guard let text = String(validating: bytes, as: UTF8.self),
            let identity = Identity(parsing: text)
        else { return .refused }
        try promise(Array(identity.text.utf8) == bytes, "an identity has one spelling")
        return .accepted
    }
}
