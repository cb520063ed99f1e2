import Foundation
import KeyServices
import Mesh
import Repository
import Sealing
import Testing

/// Where a child is waited for, nobody else is held up.
func aside<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { waiting in
        DispatchQueue.global().async { waiting.resume(with: Result { try body() }) }
    }
}

/// What is said where a key does not come out.
func said<Value>(_ body: () throws(UnwrapRefused) -> Value) -> String {
    do throws(UnwrapRefused) {
        _ = try body()
        return "nothing was refused"
    } catch { return "\(error)" }
}

let owner = RingOwner(
    repository: RepositoryID(high: 1, low: 10), tenant: TenantID(high: 2, low: 11))

func secret(_ byte: UInt8) throws -> Secret {
    try #require(Secret([UInt8](repeating: byte, count: Secret.byteCount)))
}

/// A program that lies in a folder of its own, which goes with it.
final class Script: Sendable {
    let folder: String
    var path: String { folder + "/tool" }

    init(_ body: String) throws {
        folder = "/tmp/hfs-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // Read by a shell, not run itself: Linux runs nothing that a child of another test's may still hold open.
        try Data("\(body)\n".utf8).write(to: URL(filePath: path))
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func text(_ name: String) throws -> String {
        try String(contentsOfFile: folder + "/" + name, encoding: .utf8)
    }

    func key(_ words: [String] = [], seconds: UInt64 = 60) -> CommandKey {
        CommandKey(["/bin/sh", path] + words, timeout: .seconds(seconds))
    }
}

@Suite("A key that a command keeps", .timeLimit(.minutes(2)))
struct CommandKeyTests {
    /// Its key is a byte that is added to each.
    private static let adding = """
        case $1 in wrap) from='\\000-\\377'; to='\\007-\\377\\000-\\006' ;;
        unwrap) from='\\007-\\377\\000-\\006'; to='\\000-\\377' ;; esac
        LC_ALL=C exec tr "$from" "$to"
        """

    @Test func `what a command wrapped it unwraps, and the ring's key never gets to it`()
        async throws
    {
        let script = try Script("cat > $0.in; \(Self.adding) < $0.in")
        try await aside {
            let key = script.key()
            let (ring, own) = (try secret(9), try secret(5))
            let salt = try #require(Salt([UInt8](repeating: 3, count: 32)))
            let bytes = try ServiceWrap.wrap(ring, by: key, for: owner, own: own, random: salt)
            #expect(bytes.prefix(32) == [UInt8](repeating: 12, count: 32)[...])
            #expect(
                try Data(contentsOf: URL(filePath: script.path + ".in"))
                    == Data(repeating: 5, count: 32))
            #expect(try ServiceWrap.unwrap(bytes, by: key, for: owner).isSame(as: ring))
            // Whatever else it gives back is another key, not damage.
            let other = try Script("head -c 32 /dev/zero")
            #expect(throws: UnwrapRefused.wrongKey) {
                try ServiceWrap.unwrap(bytes, by: other.key(), for: owner)
            }
            var damaged = bytes
            damaged[bytes.count - 1] ^= 1
            #expect(throws: UnwrapRefused.damaged) {
                try ServiceWrap.unwrap(damaged, by: key, for: owner)
            }
            #expect(throws: UnwrapRefused.damaged) {
                try ServiceWrap.unwrap(Array(bytes.suffix(88)), by: key, for: owner)
            }
        }
    }

    @Test func `a command finds no secret in its words, and nothing of ours around it`()
        async throws
    {
        unsafe setenv("HOLDFAST_TEST_SECRET", "horse", 1)
        let script = try Script(
            """
            cd "${0%/*}" && echo "$@" > words && tr '\\0' '\\n' < /proc/$$/environ > environment
            readlink /proc/$$/cwd > /dev/null; ls /proc/$$/fd > files; cat
            """)
        let made = try await aside { try script.key(["-q", "slot 3"]).wrap(secret(5), for: owner) }
        #expect(made == [UInt8](repeating: 5, count: 32))
        #expect(
            try script.text("words") == "-q slot 3 wrap 0000000000000001000000000000000a "
                + "0000000000000002000000000000000b\n")
        let variables = try script.text("environment").split(separator: "\n").map {
            String($0.prefix { $0 != "=" })
        }
        #expect(Set(variables) == ["PATH", "LC_ALL"])
        // The shell keeps its script open under a number of its own.
        let files = try script.text("files").split(separator: "\n").compactMap { Int($0) }
        #expect(files.filter { $0 < 10 } == [0, 1, 2])
    }

    @Test(
        arguments: [
            ("echo 'no HSM' >&2; echo 'more' >&2; exit 1", "unwrap ended with code 1: no HSM"),
            ("printf 'a\\033[2Jb' >&2; exit 9", "unwrap ended with code 9: a [2Jb"),
            ("exit 2", "unwrap ended with code 2"),
            ("kill -TERM $$", "unwrap was ended by signal 15"),
            ("true", "unwrap said nothing"),
            ("echo short", "unwrap said 6 bytes; a key has 32"),
            ("head -c 33 /dev/zero", "unwrap said 33 bytes; a key has 32"),
            ("exec cat /dev/zero", "unwrap said more than 8192 bytes, and was killed"),
        ])
    func `what goes wrong is told in one line`(body: String, why: String) async throws {
        let script = try Script(body)
        let told =
            await
            (try? aside {
                said { () throws(UnwrapRefused) in
                    try script.key().unwrap([1, 2, 3], for: owner)
                }
            }) ?? ""
        #expect(told.hasPrefix("/bin/sh \(why)"), "\(told)")
        #expect(!told.contains("\u{1b}") && !told.contains("more than a"))
    }

    @Test func `a command can say that another key wrapped this, and only of that`() async throws {
        let script = try Script("exit 3")
        let zeros = try secret(0)
        try await aside {
            let key = script.key()
            #expect(throws: UnwrapRefused.wrongKey) { try key.unwrap([1], for: owner) }
            let wrapping = said { () throws(UnwrapRefused) in try key.wrap(zeros, for: owner) }
            #expect(wrapping == "/bin/sh wrap ended with code 3")
        }
    }

    @Test func `what does not run is named, with why`() async throws {
        let told = try await aside {
            said { () throws(UnwrapRefused) in
                try CommandKey(["/nonexistent/tool"]).unwrap([1], for: owner)
            }
        }
        #expect(told == "/nonexistent/tool: cannot start: No such file or directory")
    }

    @Test func `a command that hangs is killed when its time is over`() async throws {
        let script = try Script("trap '' TERM INT HUP; while :; do sleep 10000; done")
        let told = try await aside {
            said { () throws(UnwrapRefused) in
                try script.key(seconds: 1).unwrap([1], for: owner)
            }
        }
        #expect(told == "/bin/sh unwrap had not ended after 1000ms, and was killed")
    }

    @Test func `a command is killed with all that it began`() async throws {
        let script = try Script(
            """
            cd "${0%/*}"
            sleep 10000 & echo $! > grandchild
            echo $$ > child
            trap '' TERM INT HUP
            head -c 10000 /dev/zero
            while :; do sleep 10000; done
            """)
        let told = try await aside {
            said { () throws(UnwrapRefused) in try script.key().unwrap([1], for: owner) }
        }
        #expect(told == "/bin/sh unwrap said more than 8192 bytes, and was killed")
        for name in ["child", "grandchild"] { try await Self.awaitEnd(of: script.text(name)) }
    }

    @Test func `what a command leaves behind in its group is killed with it`() async throws {
        let script = try Script(
            """
            sleep 10000 < /dev/null > /dev/null 2>&1 & echo $! > "${0%/*}/left"
            head -c 32 /dev/zero
            """)
        let made = try await aside { try script.key().unwrap([1], for: owner) }
        #expect(try made.isSame(as: secret(0)))
        try await Self.awaitEnd(of: script.text("left"))
    }

    /// Gone, or dead and not reaped by whoever inherited it. The suite's own limit ends a wait in vain.
    private static func awaitEnd(of id: String) async throws {
        let path = "/proc/\(id.trimmingCharacters(in: .whitespacesAndNewlines))/stat"
        while let stat = try? String(contentsOfFile: path, encoding: .utf8),
            !stat.contains(") Z ")
        { try await Task.sleep(for: .milliseconds(10)) }
    }
}
