import Foundation
import Logging
import Mesh
import Testing
import VolumeCore
import Volumes

/// An authority, a server's and a client's certificate, and those of a stranger.
private final class Papers: Sendable {
    let path = "/tmp/hf-tls-\(UUID().uuidString.prefix(8))"

    init() async throws {
        for (authority, ends) in [("ca", ["server", "client"]), ("stranger", ["impostor"])] {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
            try await openssl(
                ["req", "-x509", "-nodes", "-subj", "/CN=\(authority)", "-days", "2"]
                    + key(authority) + ["-out", "\(path)/\(authority).pem"])
            for end in ends {
                try await openssl(
                    ["req", "-x509", "-nodes", "-subj", "/CN=\(end)", "-days", "2"] + key(end)
                        + ["-CA", "\(path)/\(authority).pem", "-CAkey", "\(path)/\(authority).key"]
                        + ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
                        + ["-addext", "basicConstraints=critical,CA:FALSE"]
                        + ["-out", "\(path)/\(end).pem"])
            }
        }
        for (directory, ca, end) in [
            ("good", "ca", "client"), ("foreign", "ca", "impostor"), ("bare", "ca", nil),
        ] {
            let to = "\(path)/\(directory)"
            try FileManager.default.createDirectory(
                atPath: to, withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                atPath: "\(path)/\(ca).pem", toPath: "\(to)/ca-cert.pem")
            guard let end else { continue }
            try FileManager.default.copyItem(
                atPath: "\(path)/\(end).pem", toPath: "\(to)/client-cert.pem")
            try FileManager.default.copyItem(
                atPath: "\(path)/\(end).key", toPath: "\(to)/client-key.pem")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    private func key(_ name: String) -> [String] {
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", "\(path)/\(name).key"]
    }

    private func openssl(_ arguments: [String]) async throws {
        try await succeed("/usr/bin/openssl", arguments)
    }

    var listener: NBDServer.Listener { listener(showing: "server") }

    func listener(showing end: String) -> NBDServer.Listener {
        NBDServer.Listener(
            host: "127.0.0.1", port: 0,
            certificates: NBDCertificates(
                ca: path + "/ca.pem", certificate: path + "/\(end).pem", key: path + "/\(end).key"))
    }

    /// Puts one's certificate and key where another one's are looked for.
    func put(_ end: String, as other: String) throws {
        for kind in ["pem", "key"] {
            let bytes = try Data(contentsOf: URL(filePath: "\(path)/\(end).\(kind)"))
            try bytes.write(to: URL(filePath: "\(path)/\(other).\(kind)"))
        }
    }
}

@Suite("NBD over TCP", .serialized)
struct TLSTests {
    private func connect(_ rig: Rig, _ directory: String, _ rest: String) throws -> String {
        """
        h.set_tls(nbd.TLS_REQUIRE)
        h.set_tls_verify_peer(True)
        h.set_tls_certificates("\(directory)")
        h.set_export_name("disk1")
        try:
            h.connect_tcp("127.0.0.1", "\(try #require(rig.server.port))")
            \(rest)
        except nbd.Error as e: print("refused")
        """
    }

    @Test func `whoever shows a certificate of the authority is served, all others are refused`()
        async throws
    {
        let papers = try await Papers()
        let rig = try await Rig.open(listener: papers.listener)
        let read = "h.pwrite(b'a' * 70000, 0); h.flush(); print(h.pread(70000, 0) == b'a' * 70000)"
        let good = try connect(rig, papers.path + "/good", read)
        #expect(try await shell(good) == "True\n")
        for stranger in ["foreign", "bare"] {
            let script = try connect(rig, papers.path + "/\(stranger)", "h.pread(1, 0)")
            #expect(try await shell(script) == "refused\n", "\(stranger)")
        }
        #expect(try await shell(good) == "True\n")
        try await rig.close()
    }

    @Test func `certificates read again serve the next client; unusable ones change nothing`()
        async throws
    {
        let papers = try await Papers()
        try papers.put("impostor", as: "shown")
        let rig = try await Rig.open(listener: papers.listener(showing: "shown"))
        let script = try connect(rig, papers.path + "/good", "print(len(h.pread(1, 0)))")
        #expect(try await shell(script) == "refused\n", "no client trusts the impostor")
        try papers.put("server", as: "shown")
        #expect(try await shell(script) == "refused\n", "it was not read yet")
        try rig.server.reloadCertificates()
        #expect(try await shell(script) == "1\n")
        try Data("nonsense".utf8).write(to: URL(filePath: papers.path + "/shown.pem"))
        #expect(throws: NBDServerRefused.self) { try rig.server.reloadCertificates() }
        #expect(try await shell(script) == "1\n")
        try await rig.close()
    }

    @Test func `in the clear nothing is told`() async throws {
        let papers = try await Papers()
        let rig = try await Rig.open(listener: papers.listener)
        let port = try #require(rig.server.port)
        let told = try await shell(
            """
            h.set_opt_mode(True)
            h.connect_tcp("127.0.0.1", "\(port)")
            for deed in [lambda: h.opt_list(lambda *a: 0), lambda: h.opt_go()]:
                try: deed(); print("told")
                except nbd.Error as e: print("refused")
            """)
        #expect(told == "refused\nrefused\n")
        try await rig.close()
    }

    @Test func `unusable files are named before anything listens`() async throws {
        let papers = try await Papers()
        let wrong = NBDServer.Listener(
            host: "127.0.0.1", port: 0,
            certificates: NBDCertificates(
                ca: papers.path + "/ca.pem", certificate: papers.path + "/server.pem",
                key: papers.path + "/client.key"))
        let error = #expect(throws: NBDServerRefused.self) {
            try NBDServer(
                directory: papers.path, listener: wrong, logger: Logger(label: "volumes"))
        }
        #expect("\(try #require(error))".contains("client.key"))
    }
}
