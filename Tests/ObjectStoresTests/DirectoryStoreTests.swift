import Foundation
import Repository
import Testing

@testable import ObjectStores

@Suite("Objects in a directory") struct DirectoryStoreTests {
    /// A directory of this test alone, gone with it.
    private final class Folder {
        let path = NSTemporaryDirectory() + "holdfast-objects-\(UUID().uuidString)"
        init() throws {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        }
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    private static func name(_ text: String) throws -> ObjectName {
        try #require(ObjectName(text))
    }

    @Test func `what was put there is there, whole and in parts`() throws {
        let folder = try Folder()
        let store = try DirectoryStore(folder.path)
        let (name, bytes) = (try Self.name("packs/ab/cd"), [UInt8](0..<200))
        #expect(try store.put(name, bytes) == .stored)
        #expect(try store.get(name, nil) == bytes)
        #expect(try store.get(name, 10..<20) == Array(bytes[10..<20]))
        #expect(try store.get(name, 200..<200) == [])
        // Another one who opens it finds the same.
        #expect(try DirectoryStore(folder.path).get(name, nil) == bytes)
    }

    @Test func `nothing is written over`() throws {
        let folder = try Folder()
        let store = try DirectoryStore(folder.path)
        let name = try Self.name("manifests/0000000000000001")
        #expect(try store.put(name, [1, 2, 3]) == .stored)
        #expect(try store.put(name, [1, 2, 3]) == .wasThere)
        #expect(Self.failure { try store.put(name, [1, 2, 4]) }?.cause == .taken)
        #expect(try store.get(name, nil) == [1, 2, 3])
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/.tmp")
        #expect(left == [])
    }

    @Test func `of many who put the same name at once, one stores it`() async throws {
        let folder = try Folder()
        let store = try DirectoryStore(folder.path)
        let name = try Self.name("manifests/1")
        let ends = await withTaskGroup(of: String.self) { group in
            for writer in 0..<16 {
                group.addTask {
                    do throws(ObjectStoreFailure) {
                        return "\(try store.put(name, [UInt8(writer % 2)]))"
                    } catch { return "\(error.cause)" }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(ends.filter { $0 == "stored" }.count == 1)
        #expect(ends.filter { $0 == "wasThere" }.count == 7)
        #expect(ends.filter { $0 == "taken" }.count == 8)
    }

    @Test func `a list names each object and each stranger, and nothing unfinished`() throws {
        let folder = try Folder()
        let store = try DirectoryStore(folder.path)
        #expect(try store.list(nil) == ObjectListing())
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

    /// B9: what is damaged is neither served nor lost, and can be put again.
    @Test func `a damaged object is taken out of the way`() throws {
        let folder = try Folder()
        let store = try DirectoryStore(folder.path)
        let name = try Self.name("packs/ab/1")
        _ = try store.put(name, [1, 2, 3])
        try Data([1, 9, 3]).write(to: URL(filePath: "\(folder.path)/packs/ab/1"))
        #expect(Self.failure { try store.put(name, [1, 2, 3]) }?.cause == .taken)
        try store.quarantine(name)
        #expect(Self.failure { try store.get(name, nil) }?.cause == .missing)
        #expect(try store.put(name, [1, 2, 3]) == .stored)
        #expect(try store.list(nil).objects.map(\.name) == [name])
        let kept = try FileManager.default.contentsOfDirectory(
            atPath: folder.path + "/.quarantine")
        #expect(kept.count == 1 && kept[0].hasPrefix("packs.ab.1."))
        let bytes = try Data(contentsOf: URL(filePath: "\(folder.path)/.quarantine/\(kept[0])"))
        #expect(Array(bytes) == [1, 9, 3])
        #expect(Self.failure { try store.quarantine(Self.name("no")) }?.cause == .missing)
    }

    /// B7: a list that is short because the store is gone must not pass for an empty one.
    @Test func `a store that is gone is no empty one`() throws {
        let folder = try Folder()
        let store = try DirectoryStore(folder.path)
        try FileManager.default.removeItem(atPath: folder.path)
        let name = try Self.name("packs/a")
        let failures = [
            Self.failure { try store.list(nil) }, Self.failure { try store.list(name) },
            Self.failure { try store.get(name, nil) }, Self.failure { try store.delete(name) },
            Self.failure { try store.put(name, [1]) },
        ]
        #expect(failures.map { $0?.cause } == Array(repeating: .storeGone, count: 5))
    }

    @Test func `what is deleted is gone, once`() throws {
        let folder = try Folder()
        let store = try DirectoryStore(folder.path)
        let name = try Self.name("packs/a")
        _ = try store.put(name, [1])
        #expect(try store.delete(name) && store.delete(name) == false)
        #expect(Self.failure { try store.get(name, nil) }?.cause == .missing)
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
