import Certificates
import FoundationEssentials
import Mesh
import SwiftASN1
import Testing
import X509

@Suite struct `The files that a configuration names` {
    private let cluster = ClusterID(high: 0x5f0c_3a00_0000_0001, low: 0xfeed)
    private let directory = TemporaryDirectory()
    private let home: RegionName

    init() throws { home = try #require(RegionName("us-east-1")) }

    private func path(_ name: String) -> String { "\(directory.path)/\(name)" }

    private func check(
        ca: String = "ca.pem", certificate: String = "node-1.pem", key: String = "node-1.key",
        node: UInt64 = 1
    ) -> CredentialCheck {
        CredentialCheck(
            ca: path(ca), certificate: path(certificate), key: path(key),
            own: PeerName(cluster: cluster, region: home, node: NodeID(node)))
    }

    @discardableResult
    private func issued(days: Int = 30, now: Date = Date()) throws -> Authority {
        let authority = try Authority.create(directory: directory.path, cluster: cluster)
        for node in 1...2 as ClosedRange<UInt64> {
            _ = try authority.issue(
                node: NodeID(node), region: home, addresses: ["127.0.0.1"], days: days, now: now)
        }
        return authority
    }

    private func write(_ text: String, _ name: String) throws {
        try text.write(toFile: path(name), atomically: false, encoding: .utf8)
    }

    @Test func `those of this node, made together, are in order`() async throws {
        #expect(check().absent == [path("ca.pem"), path("node-1.pem"), path("node-1.key")])
        try issued()
        #expect(check().absent.isEmpty)
        #expect(await check().faults() == [])
    }

    @Test func `two authorities in one file are in order while one of them signed`() async throws {
        try issued()
        let other = TemporaryDirectory()
        _ = try Authority.create(directory: other.path, cluster: cluster)
        try write(try other.text("ca.pem") + directory.text("ca.pem"), "both.pem")
        #expect(await check(ca: "both.pem").faults() == [])
    }

    @Test func `another node's certificate is told by both names`() async throws {
        try issued()
        let faults = await check(certificate: "node-2.pem", key: "node-2.key").faults()
        let found = PeerName(cluster: cluster, region: home, node: NodeID(2))
        let expected = PeerName(cluster: cluster, region: home, node: NodeID(1))
        #expect(
            faults == [.notOurs(path: path("node-2.pem"), found: found, expected: expected)])
        #expect(faults.first?.description.contains("is of node 2 in us-east-1") == true)
    }

    @Test func `another key is told with the certificate it should be of`() async throws {
        try issued()
        #expect(
            await check(key: "node-2.key").faults() == [
                .foreignKey(path: path("node-2.key"), certificate: path("node-1.pem"))
            ])
    }

    @Test func `an authority of the same name that did not sign is found out`() async throws {
        try issued()
        let other = TemporaryDirectory()
        _ = try Authority.create(directory: other.path, cluster: cluster)
        try write(try other.text("ca.pem"), "other.pem")
        #expect(
            await check(ca: "other.pem").faults() == [
                .unsigned(path: path("node-1.pem"), ca: path("other.pem"))
            ])
    }

    @Test func `an age is told as what it is, and of the file that it is of`() async throws {
        try issued(days: 30)
        let leaf = try Certificate(pemEncoded: try directory.text("node-1.pem"))
        #expect(
            await check().faults(now: leaf.notValidAfter + 1) == [
                .expired(path: path("node-1.pem"), at: leaf.notValidAfter)
            ])
        let root = try Certificate(pemEncoded: try directory.text("ca.pem"))
        #expect(
            await check().faults(now: leaf.notValidBefore - 60) == [
                .notYetValid(path: path("ca.pem"), from: root.notValidBefore),
                .notYetValid(path: path("node-1.pem"), from: leaf.notValidBefore),
            ])
    }

    @Test func `a certificate that names no node is told so`() async throws {
        try issued()
        #expect(
            await check(certificate: "ca.pem", key: "ca.key").faults().first
                == .unnamed(
                    path: path("ca.pem"), .misspelled("\(PeerName.scheme)\(cluster)")))
    }

    @Test func `files that can't be used are named, all of them`() async throws {
        try issued()
        try write("no PEM", "empty.pem")
        try write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "bad.pem")
        let faults = await check(ca: "bad.pem", certificate: "empty.pem", key: "none.key").faults()
        #expect(faults.count == 3)
        for name in ["bad.pem", "empty.pem", "none.key"] {
            #expect(faults.contains { $0.description.contains(path(name)) }, "\(name)")
        }
        #expect(faults.contains(.empty(path: path("empty.pem"))))
    }
}
