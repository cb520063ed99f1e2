internal import Decisions
internal import FoundationEssentials
internal import Mesh
internal import Schedule
internal import Settings

/// What operators write, and what they let make.
enum TextSamples {
    static let clusterFiles: [[UInt8]] = [
        """
        cluster: 5f0c3a7e9b2d48c1a6e4f7d08b15c392
        members:
          - {id: 1, region: oslo, role: data, address: "127.0.0.1:7101"}
          - {id: 2, region: faro, role: data, address: "[::1]:7102"}
          - id: 3
            region: bern
            role: witness   # votes only
            address: w.example:7103
        primaryRegion: oslo
        secondaryRegions: [faro]
        lease: 400ms
        backups: {schedule: "*/20,59 0-23/2 1,31 jan-jul mon-fri", full: "0 3 * * 7"}
        """,
        """
        ---
        ? cluster
        : !!str 5f0c3a7e9b2d48c1a6e4f7d08b15c392
        members: [&m {id: 1, region: &r oslo, role: data, address: 'a:1'}]
        primaryRegion: *r
        """,
    ].map { Array($0.utf8) }

    static let nodeFiles: [[UInt8]] = [
        """
        node: 1
        cluster: cluster.yaml
        data: /var/lib/holdfast
        run: "/run/h\\u0061"
        tls: {ca: ca.pem, certificate: node-1.pem, key: node-1.key}
        nbd: {listen: 0.0.0.0:10809}
        log:
          level: debug
          format: json
        founding: false
        logKept: 512M
        resyncRate: 10M
        scrubDays: 3
        """
    ].map { Array($0.utf8) }

    static let names: [[UInt8]] = [
        "holdfast://5f0c3a7e9b2d48c1a6e4f7d08b15c392/oslo/1",
        "https://example.org/\nholdfast://5f0c3a7e9b2d48c1a6e4f7d08b15c392/faro/18446744073709551615",
        "oslo", "[::1]:7102", "a.example:65535", "5f0c3a7e9b2d48c1a6e4f7d08b15c392", "400ms",
    ].map { Array($0.utf8) }

    static let identities: [[UInt8]] = [
        """
        cluster 5f0c3a7e9b2d48c1a6e4f7d08b15c392 node 1
        store 0123456789abcdef0123456789abcdef
        members 1 data, 2 data, 3 witness
        journal begun

        """,
        "cluster 5f0c3a7e9b2d48c1a6e4f7d08b15c392 node 2\n",
    ].map { Array($0.utf8) }

    /// In DER, of node 1 in oslo.
    static func certificates() throws -> [[UInt8]] {
        guard let bytes = Data(base64Encoded: certificate, options: .ignoreUnknownCharacters) else {
            throw Broken(promise: "a certificate is base64")
        }
        return [Array(bytes)]
    }

    private static let certificate = """
        MIIB7zCCAZWgAwIBAgIUG9BDHwDDK4v5+0MKYkvWbPy2HBEwCgYIKoZIzj0EAwIwJDERMA8GA1UECgwISG9sZGZh\
        c3QxDzANBgNVBAMMBm5vZGUgMTAeFw0yNjExMjQyMDE2MThaFw0zNjExMjEyMDE2MThaMCQxETAPBgNVBAoMCEhv\
        bGRmYXN0MQ8wDQYDVQQDDAZub2RlIDEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASmJEDSheQHS9+lZqaYCtVp\
        AQ0zUTA+Dh2IcrHq+Zq6PTQN+JDP5RiBlJhk/VrJ8CWmYoAShPzNM6D7iouCP8muo4GkMIGhMB0GA1UdDgQWBBRR\
        wwe6CxsRud+uyv6entKU2hpLTzAfBgNVHSMEGDAWgBRRwwe6CxsRud+uyv6entKU2hpLTzAPBgNVHRMBAf8EBTAD\
        AQH/ME4GA1UdEQRHMEWGMmhvbGRmYXN0Oi8vNWYwYzNhN2U5YjJkNDhjMWE2ZTRmN2QwOGIxNWMzOTIvb3Nsby8x\
        hwR/AAABgglhLmV4YW1wbGUwCgYIKoZIzj0EAwIDSAAwRQIgXoEcLUUydVj7ibzA15Jc0DRcEcixSGDQSyDrCdS+\
        fA0CIQDjvHsWqTbCQ3FQFVZSjxmwphMWoKolaSKGas28GW6z7w==
        """
}

/// The plainest file that means what a file was understood to mean.
extension TextSamples {
    static func spelling(_ settings: ClusterSettings) -> String {
        let members = settings.members.map { member in
            "{id: \(member.id), region: \(quoted(member.region.text)), "
                + "role: \(member.role.rawValue), address: \(quoted(member.address.description))}"
        }
        let secondaries = settings.secondaryRegions.map { quoted($0.text) }
        let backups = settings.backups.map { backups in
            let full = backups.full.map { ", full: \(quoted("\($0)"))" } ?? ""
            return "backups: {schedule: \(quoted("\(backups.runs)"))\(full)}"
        }
        return """
            cluster: \(quoted(settings.cluster.description))
            members: [\(members.joined(separator: ", "))]
            primaryRegion: \(quoted(settings.primaryRegion.text))
            secondaryRegions: [\(secondaries.joined(separator: ", "))]
            lease: \(settings.lease.length.nanoseconds / 1_000)us
            \(backups ?? "")

            """
    }

    static func spelling(_ settings: NodeSettings) -> String {
        let tls = settings.tls
        let nbd = settings.nbd.map { "nbd: {listen: \(quoted($0.description))}" } ?? ""
        return """
            node: \(settings.node)
            cluster: \(quoted(settings.cluster))
            data: \(quoted(settings.data))
            run: \(quoted(settings.run))
            tls: {ca: \(quoted(tls.ca)), certificate: \(quoted(tls.certificate)), key: \(quoted(tls.key))}
            \(nbd)
            founding: \(settings.founding)
            logKept: \(settings.logKept)
            resyncRate: \(settings.resyncRate)
            scrubDays: \(settings.scrubPeriod.nanoseconds / 86_400_000_000_000)
            log: {level: \(settings.logLevel.rawValue), format: \(settings.logFormat.rawValue)}

            """
    }

    /// Every character that is no letter or digit by its number, so that none can mean anything else.
    private static func quoted(_ text: String) -> String {
        let plain = text.unicodeScalars.map { scalar in
            guard
                !scalar.isASCII || !scalar.properties.isAlphabetic && !("0"..."9").contains(scalar)
            else { return String(scalar) }
            let digits = String(scalar.value, radix: 16)
            return "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
        }
        return "\"" + plain.joined() + "\""
    }
}
