import Admin
import ArgumentParser
import Control
import Testing

@testable import Holdfast

@Suite("Arguments")
struct ParsingTests {
    @Test(arguments: [
        ["--socket", "/s", "status", "-o", "json"], ["status", "--socket", "/s", "-o", "json"],
        ["status", "-o", "json", "--socket=/s"],
    ])
    func `the socket may stand before or behind the command`(arguments: [String]) throws {
        let command = try Holdfast.parseAsRoot(arguments) as? StatusCommand
        #expect(command?.root.client.path == "/s")
        #expect(command?.options.output == .json)
    }

    @Test func `the socket reaches a command of a command`() throws {
        let command = try Holdfast.parseAsRoot(["--socket", "/s", "volume", "list"])
        #expect((command as? VolumeCommand.List)?.root.client.path == "/s")
    }

    @Test func `where a mount listens is not where an agent is asked`() throws {
        let words = ["backup", "mount", "7", "--config", "a", "--volume", "b", "--listen", "c"]
        let mount = try Holdfast.parseAsRoot(words) as? BackupCommand.MountCommand
        #expect(
            mount?.serving.listen == "c" && mount?.serving.overlay == "/var/tmp"
                && mount?.serving.readOnly == false)
        #expect(mount?.wantedMoment.moment == .backup(7))
    }

    @Test func `a volume is sync unless said otherwise`() throws {
        let words = ["volume", "create", "db", "--size", "1G"]
        let plain = try Holdfast.parseAsRoot(words) as? VolumeCommand.Create
        #expect(plain?.mode == .sync && plain?.size.byteCount == 1 << 30)
        let other = try Holdfast.parseAsRoot(words + ["--mode", "async"]) as? VolumeCommand.Create
        #expect(other?.mode == .async)
    }

    @Test func `a node may have several addresses`() throws {
        let command = try Holdfast.parseAsRoot([
            "cert", "issue", "--dir", "d", "--node", "1", "--region", "a", "--address", "10.0.0.1",
            "--address", "a.example",
        ])
        #expect((command as? CertCommand.Issue)?.address == ["10.0.0.1", "a.example"])
    }

    @Test(arguments: [
        ["status", "--watch", "--check"], ["status", "--watch", "-o", "json"],
        ["volume", "create", "db"], ["volume", "create", "db", "--size", "1"],
        ["volume", "create", "--size", "1G"], ["switchover"], ["members", "add"],
        ["members", "replace", "3"], ["members", "add", "four"], ["log", "dump", "--max", "0"],
        ["log", "dump", "--from", "9", "--to", "8"], ["log", "check"], ["config", "show"],
        ["config", "show", "a", "--defaults"],
        ["cert", "issue", "--dir", "d", "--node", "0", "--region", "a"],
        ["cert", "init", "--dir", "d", "--cluster", "xyz"], ["frobnicate"],
        ["volume", "grow", "db"], ["volume", "grow", "db", "--size", "1"],
        ["backup", "rehearse", "--config", "a"],
        ["backup", "rehearse", "7", "--latest", "--config", "a", "--scratch", "s"],
        ["backup", "rehearse", "--config", "a", "--scratch", "s", "--check", "e2fsck -fn"],
        ["backup", "rehearse", "--config", "a", "--scratch", "s", "--timeout", "0"],
        ["backup", "list"], ["backup", "list", "--config", "a", "--key", "b"],
        ["backup", "verify", "--repository", "a"], ["backup", "show", "x", "--config", "a"],
        ["restore", "--config", "a", "--cluster", "b", "--to", "c"],
        ["restore", "--config", "a", "--cluster", "b", "--volume", "c"],
        ["restore", "--config", "a", "--into", "b"],
        ["restore", "--config", "a", "--into", "b", "--volume", "c", "--to", "d"],
        ["restore", "--cluster", "b"],
        ["restore", "2", "--latest", "--config", "a", "--cluster", "b"],
        ["restore", "--config", "a", "--range", "0+1", "--to", "b"],
        ["restore", "--config", "a", "--range", "0+1", "--volume", "c", "--into", "b"],
        ["restore", "--config", "a", "--range", "0+1", "--volume", "c", "--to", "b", "--latest"],
        ["restore", "--config", "a", "--range", "0+0", "--volume", "c", "--to", "b"],
        ["backup", "mount", "--config", "a", "--volume", "b"],
        ["backup", "mount", "--config", "a", "--listen", "b"],
        ["backup", "mount", "2", "--latest", "--config", "a", "--volume", "b", "--listen", "c"],
        ["restore", "--config", "a"], ["restore", "-1", "--config", "a", "--to", "b"],
    ])
    func `misuse is told before anything is done`(arguments: [String]) {
        #expect(throws: (any Error).self) { try Holdfast.parseAsRoot(arguments) }
    }
}

@Suite("Answers for programs")
struct FormatTests {
    private let json = Array(
        #"{"b":18446744073709551615,"a":[true,null,-1,0.5,"x/y"],"new":{}}"#.utf8)

    @Test func `json is sorted and indented, and keeps numbers and unknown fields`() throws {
        let text = try Format.json.text(of: json)
        #expect(
            text.hasPrefix("{\n  \"a\" : [\n    true,\n    null,\n    -1,\n    0.5,\n    \"x/y\""))
        #expect(text.contains("\"b\" : 18446744073709551615,\n  \"new\" : {"))
        #expect(text.hasSuffix("}\n"))
    }

    @Test func `yaml says the same`() throws {
        let text = try Format.yaml.text(of: json)
        #expect(
            text == "a:\n- true\n- null\n- -1\n- 5e-1\n- x/y\nb: 18446744073709551615\nnew: {}\n")
    }
}
