import Foundation
import Repository
import Testing

@testable import ObjectStores

@Suite("Objects in a directory") struct DirectoryStoreTests {
    private static func name(_ text: String) throws -> ObjectName {
        try #require(ObjectName(text))
    }

    @Test func `what was not stored leaves nothing behind`() throws {
        let folder = try Folder()
        let store = try DirectoryStore(folder.path)
        let name = try Self.name("manifests/0000000000000001")
        #expect(try store.put(name, [1, 2, 3]) == .stored)
        #expect(Self.failure { try store.put(name, [1, 2, 4]) }?.cause == .taken)
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/.tmp")
        #expect(left == [])
    }

    @Test func `links, and what is unfinished, are no objects`() throws {
        let folder = try Folder()
        let store = try DirectoryStore(folder.path)
        for text in ["packs/b/2", "packs/a/1", "index/x", "config"] {
            _ = try store.put(Self.name(text), Array(text.utf8))
        }
        for stranger in [".tmp/left", "packs/a/Lost+Found", "packs/.hidden"] {
            try Data().write(to: URL(filePath: "\(folder.path)/\(stranger)"))
        }
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder.path)/packs/a/2", withDestinationPath: "../b/2")
        let all = try store.list(nil)
        #expect(all.objects.map(\.name.text) == ["config", "index/x", "packs/a/1", "packs/b/2"])
        #expect(all.objects.map(\.byteCount) == [6, 7, 9, 9])
        #expect(all.strangers == ["packs/.hidden", "packs/a/2", "packs/a/Lost+Found"])
        let packs = try store.list(Self.name("packs/b"))
        #expect(packs.objects.map(\.name.text) == ["packs/b/2"] && packs.strangers == [])
        #expect(try store.list(Self.name("wal")) == ObjectListing())
    }

    @Test func `what a dead writer left is removed, and what a live one writes is not`() throws {
        let folder = try Folder()
        let store = try DirectoryStore(folder.path)
        for name in ["dead", "alive"] {
            try Data([1]).write(to: URL(filePath: "\(folder.path)/.tmp/\(name)"))
        }
        let alive = unsafe open("\(folder.path)/.tmp/alive", O_RDONLY)
        defer { close(alive) }
        #expect(flock(alive, LOCK_EX | LOCK_NB) == 0)
        _ = try DirectoryStore(folder.path)
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/.tmp")
        #expect(left == ["alive"])
        _ = store
    }

    @Test func `each failure says what, where and why`() throws {
        let folder = try Folder()
        let store = try DirectoryStore(folder.path)
        _ = try store.put(Self.name("a"), [1, 2])
        let short = Self.failure { try store.get(Self.name("a"), 0..<3) }
        #expect(short?.cause == .short(wanted: 3, have: 2))
        #expect(short?.description == "cannot read a in \(folder.path): it has 2 of 3 bytes")
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/link", withDestinationPath: "a")
        #expect(Self.failure { try store.get(Self.name("link"), nil) }?.cause == .notAnObject)
        #expect(Self.failure { try store.put(Self.name("a/b"), []) }?.cause == .notAnObject)
        // A whole tree that somebody put elsewhere, and a pipe, which would be waited for.
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/tree", withDestinationPath: folder.path)
        for deed: (ObjectName) throws -> Any in [
            { try store.get($0, nil) }, { try store.put($0, []) }, { try store.delete($0) },
            { try store.list($0) },
        ] {
            #expect(Self.failure { try deed(Self.name("tree/a")) }?.cause == .notAnObject)
        }
        #expect(unsafe mkfifo(folder.path + "/pipe", 0o600) == 0)
        #expect(Self.failure { try store.get(Self.name("pipe"), nil) }?.cause == .notAnObject)
        #expect(Self.failure { try store.put(Self.name("pipe"), [1]) }?.cause == .notAnObject)
        let much = [UInt8](repeating: 0, count: DirectoryStore.byteCountMax + 1)
        #expect(
            Self.failure { try store.put(Self.name("much"), much) }?.cause
                == .oversized(much.count))
        _ = try store.put(Self.name("d/e"), [1])
        #expect(Self.failure { try store.get(Self.name("d"), nil) }?.cause == .notAnObject)
        let large = folder.path + "/large"
        try Data().write(to: URL(filePath: large))
        let file = try FileHandle(forWritingTo: URL(filePath: large))
        try file.truncate(atOffset: UInt64(DirectoryStore.byteCountMax) + 1)
        #expect(
            Self.failure { try store.get(Self.name("large"), nil) }?.cause
                == .oversized(DirectoryStore.byteCountMax + 1))
        #expect(Self.failure { try DirectoryStore(folder.path + "/none") }?.cause == .missing)
        #expect(Self.failure { try DirectoryStore(large) }?.cause == .notAnObject)
    }

    /// What a disk says that no test here can make it say.
    @Test func `each fault of the disk has a cause of its own`() {
        for (code, cause) in [
            (ENOENT, .missing), (ENOSPC, .full), (EDQUOT, .full), (EACCES, .denied),
            (EPERM, .denied), (EROFS, .readOnly), (ELOOP, .notAnObject),
            (EIO, .system(code: EIO, words: "Input/output error")),
        ] as [(Int32, ObjectStoreFailure.Cause)] {
            let failure = DirectoryStore.failure("store", "packs/a", in: "/backups", code)
            #expect(failure.cause == cause)
            #expect(failure.description.hasPrefix("cannot store packs/a in /backups: "))
        }
    }

    @Test(arguments: [
        "", "/", "a/", "/a", "a//b", "..", "a/../b", "A", "a b", "a.b", "ä", "a\n",
        String(repeating: "a", count: 201),
    ])
    func `a name that leads elsewhere is none`(text: String) {
        #expect(ObjectName(text) == nil)
    }

    private static func failure(_ deed: () throws -> Any) -> ObjectStoreFailure? {
        do {
            _ = try deed()
            return nil
        } catch { return error as? ObjectStoreFailure }
    }
}
