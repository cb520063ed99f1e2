import Mesh
import Settings
import Testing

private let lawful = """
    # the HSM of site a
    repository: 0000000000000001000000000000000a
    tenant: 0000000000000002000000000000000b
    command: [/usr/bin/tool, -q, "slot 3"]
    timeout: 45s
    """

private func faults(_ text: String) -> [String] {
    do throws(Faults) {
        _ = try KeySettings(parsing: text, file: "f")
        return []
    } catch { return error.all.map(\.description) }
}

@Suite("A provider file") struct KeySettingsTests {
    @Test func `a lawful file gives its values`() throws {
        let key = try KeySettings(parsing: lawful, file: "f")
        #expect(key.provider == .command(["/usr/bin/tool", "-q", "slot 3"]))
        let owner = try #require(key.owner)
        #expect(owner.repository.high == 1 && owner.repository.low == 10)
        #expect(owner.tenant.high == 2 && owner.tenant.low == 11)
        #expect(key.timeout == .seconds(45))
        let short = try KeySettings(parsing: "command: [/bin/x]", file: "f")
        #expect(short.owner == nil && short.timeout == nil)
    }

    @Test func `a key of a KMS is named, with where it is and who asks`() throws {
        func read(_ words: String) throws(Faults) -> KMSSettings? {
            let text = "kms: {keyId: alias/site-a, region: eu-central-1, credentials: c\(words)}"
            guard case .kms(let kms) = try KeySettings(parsing: text, file: "/d/f").provider else {
                return nil
            }
            return kms
        }
        let kms = try #require(try read(""))
        #expect(kms.keyID == "alias/site-a" && kms.region == "eu-central-1" && kms.ca == nil)
        #expect("\(kms.endpoint)" == "https://kms.eu-central-1.amazonaws.com")
        #expect(
            kms.credentials == "/d/c" && kms.endpoint.hostHeader == "kms.eu-central-1.amazonaws.com"
        )
        let own = try #require(try read(", endpoint: 'http://127.0.0.1:9', ca: x"))
        #expect(own.endpoint.hostHeader == "127.0.0.1:9" && own.ca == "/d/x")
        #expect(KeySettings.isProvider("kms: {}"))
    }

    @Test(
        arguments: [
            ("kms: {keyId: k, region: r}", "kms.credentials: is missing"),
            ("kms: {keyId: k k, region: R, credentials: c}", "kms.keyId: expected a key's id"),
            ("kms: {keyId: k, region: R, credentials: c}", "kms.region: expected a region"),
            (
                "kms: {keyId: k, region: r, credentials: c, endpoint: 'http://k.example'}",
                "give https://"
            ),
            (
                "kms: {keyId: k, region: r, credentials: c}\ncommand: [/bin/x]",
                "which of them is it?"
            ),
            ("timeout: 1s", "command: is missing"),
            ("command: /bin/x", "expected a list"),
            ("command: [x]", "whole path"),
            (
                "command: [/bin/x, [y]]",
                "f:1: command[1]: expected a list of a program's whole path"
            ),
            ("command: [/bin/x]\ntimeout: 301s", "a duration of"),
            ("command: [/bin/x]\ntenant: 0000000000000002000000000000000b", "given together"),
            ("command: [/bin/x]\nrepository: 12\ntenant: 12", "32 hexadecimal digits"),
            ("command: [/bin/x]\nkey: y", "not a known key"),
        ])
    func `what is wrong is told, and where`(text: String, why: String) {
        let told = faults(text)
        #expect(told.contains { $0.contains(why) }, "\(told)")
    }

    @Test func `it is told from other files of keys by its own words`() {
        #expect(KeySettings.isProvider(lawful))
        #expect(KeySettings.isProvider("command: nonsense"))
        for other in ["", "holdfast-key 1\nsecret 00", "# command: x", "s3: {command: x}"] {
            #expect(!KeySettings.isProvider(other))
        }
    }
}
