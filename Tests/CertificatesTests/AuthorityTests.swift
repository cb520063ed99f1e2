import Certificates
import FoundationEssentials
import Glibc
import Mesh
import SwiftASN1
import Testing
import X509

/// A directory that goes with the test.
final class TemporaryDirectory {
    let path: String
    init() {
        var template = Array("/tmp/holdfast-certificates-XXXXXX".utf8CString)
        unsafe mkdtemp(&template)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func text(_ name: String) throws -> String {
        try String(contentsOf: URL(filePath: "\(path)/\(name)"), encoding: .utf8)
    }
    func mode(_ name: String) -> mode_t {
        var info = stat()
        _ = unsafe stat("\(path)/\(name)", &info)
        return info.st_mode & 0o777
    }
}

@Suite struct AuthorityTests {
    let cluster = ClusterID(high: 0x5f0c_3a00_0000_0001, low: 0xfeed)
    let directory = TemporaryDirectory()

    func region(_ text: String) throws -> RegionName { try #require(RegionName(text)) }

    @Test func `an issued certificate carries the node's one name and both uses`() throws {
        let authority = try Authority.create(directory: directory.path, cluster: cluster)
        let issued = try authority.issue(
            node: NodeID(1), region: try region("us-east-1"),
            addresses: ["127.0.0.1", "::1", "node.example"])
        let leaf = try Certificate(pemEncoded: try directory.text("node-1.pem"))
        #expect(try PeerName(parsing: leaf) == issued.name)
        #expect(issued.name.description == "holdfast://\(cluster)/us-east-1/1")
        let names = Array(try #require(try leaf.extensions.subjectAlternativeNames))
        #expect(names.contains(.ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1]))))
        #expect(names.contains(.dnsName("node.example")))
        let uses = try #require(try leaf.extensions.extendedKeyUsage)
        #expect(uses.contains(.clientAuth) && uses.contains(.serverAuth))
        let root = try Certificate(pemEncoded: try directory.text("ca.pem"))
        #expect(root.publicKey.isValidSignature(leaf.signature, for: leaf))
    }

    @Test func `keys are readable by their owner alone`() throws {
        let authority = try Authority.create(directory: directory.path, cluster: cluster)
        _ = try authority.issue(node: NodeID(1), region: try region("a"), addresses: [])
        #expect(directory.mode("ca.key") == 0o600)
        #expect(directory.mode("node-1.key") == 0o600)
        #expect(directory.mode("ca.pem") == 0o644)
    }

    @Test func `nothing that exists is overwritten unless asked to`() throws {
        let authority = try Authority.create(directory: directory.path, cluster: cluster)
        let path = directory.path
        let before = try directory.text("ca.key")
        #expect(throws: CertificateError.exists(path: path + "/ca.key")) {
            try Authority.create(directory: path, cluster: cluster)
        }
        #expect(try directory.text("ca.key") == before)
        let home = try region("a")
        _ = try authority.issue(node: NodeID(1), region: home, addresses: [])
        let key = try directory.text("node-1.key")
        #expect(throws: CertificateError.exists(path: path + "/node-1.key")) {
            try authority.issue(node: NodeID(1), region: home, addresses: [])
        }
        #expect(try directory.text("node-1.key") == key)
        _ = try authority.issue(node: NodeID(1), region: home, addresses: [], replacing: true)
        #expect(try directory.text("node-1.key") != key)
    }

    @Test func `a reopened authority renews under the same names with a new key`() throws {
        let first = try Authority.create(directory: directory.path, cluster: cluster)
        _ = try first.issue(node: NodeID(7), region: try region("b"), addresses: ["10.0.0.7"])
        let old = try Certificate(pemEncoded: try directory.text("node-7.pem"))
        let authority = try Authority(opening: directory.path)
        #expect(authority.cluster == cluster)
        _ = try authority.renew(node: NodeID(7))
        let new = try Certificate(pemEncoded: try directory.text("node-7.pem"))
        #expect(new.publicKey != old.publicKey)
        #expect(
            try new.extensions.subjectAlternativeNames == old.extensions.subjectAlternativeNames)
        let key = try Certificate.PrivateKey(pemEncoded: try directory.text("node-7.key"))
        #expect(key.publicKey == new.publicKey)
    }

    @Test func `an authority does not open with another's key`() throws {
        _ = try Authority.create(directory: directory.path, cluster: cluster)
        let other = TemporaryDirectory()
        _ = try Authority.create(directory: other.path, cluster: cluster)
        try FileManager.default.removeItem(atPath: directory.path + "/ca.key")
        try FileManager.default.copyItem(
            atPath: other.path + "/ca.key", toPath: directory.path + "/ca.key")
        let path = directory.path
        #expect(
            throws: CertificateError.unreadable(
                path: path + "/ca.key", why: "it is not the key of \(path)/ca.pem")
        ) {
            try Authority(opening: path)
        }
    }

    @Test(arguments: ["", "a..b", "-a", "a b", "127.0.0.1:80"])
    func `an address that is none is refused`(address: String) throws {
        let authority = try Authority.create(directory: directory.path, cluster: cluster)
        let home = try region("a")
        #expect(throws: CertificateError.addressMisspelled(address)) {
            try authority.issue(node: NodeID(1), region: home, addresses: [address])
        }
    }
}
