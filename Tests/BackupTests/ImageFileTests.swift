import Backup
import Foundation
import Mesh
import ObjectStores
import Repository
import Sealing
import Testing

@Suite("Backups of images, in a directory") struct ImageFileTests {
    final class Folder {
        let path = NSTemporaryDirectory() + "holdfast-backup-\(UUID().uuidString)"
        init() throws {
            try FileManager.default.createDirectory(
                atPath: path + "/store", withIntermediateDirectories: true)
        }
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    @Test func `an image comes back as it was, holes too`() throws {
        let folder = try Folder()
        let path = folder.path + "/image"
        try Data().write(to: URL(filePath: path))
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.truncate(atOffset: 300 << 20 | 1_000)
        var random = SeededRandom(seed: 8)
        for _ in 0..<40 {
            try file.seek(toOffset: random.next() % (300 << 20))
            try file.write(
                contentsOf: Data(MemoryVolume.content(1 + random.next() % 90, 30_000)))
        }
        try file.close()
        let vault = try Rig.vault(DirectoryStore(folder.path + "/store"))
        let (made, tally) = try Rig.back(up: ImageSource(path), vault)
        #expect(tally.readByteCount < 10 << 20, "holes are not read")
        let target = try ImageTarget(
            folder.path + "/restored", byteCount: made.manifest.volumes[0].map.shape.byteCount)
        try BackupReader(vault, threads: 2).restore(made.manifest.volumes[0].map, to: target)
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/restored"))
        try target.finish()
        let restored = folder.path + "/restored"
        #expect(FileManager.default.contentsEqual(atPath: path, andPath: restored))
        // A file system gives a little more than what is written.
        #expect(try Self.room(restored) < 30 << 20, "its holes take no room")
        #expect(throws: BackupFailure.self) { try ImageTarget(restored, byteCount: 5) }
    }

    private static func room(_ path: String) throws -> Int {
        let values = try URL(filePath: path).resourceValues(forKeys: [.fileAllocatedSizeKey])
        return try #require(values.fileAllocatedSize)
    }

    @Test func `a restore that is given up leaves nothing`() throws {
        let folder = try Folder()
        var target: ImageTarget? = try ImageTarget(folder.path + "/restored", byteCount: 9_000)
        try target?.write([1, 2, 3], at: 8_000)
        target = nil
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["store"])
    }

    @Test func `an image that gets shorter while it is read is no image of zeros`() throws {
        let folder = try Folder()
        let path = folder.path + "/image"
        try Data([UInt8](repeating: 7, count: 100_000)).write(to: URL(filePath: path))
        let source = try ImageSource(path)
        #expect(try source.read(6..<7).prefix(1_696).allSatisfy { $0 == 7 })
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.truncate(atOffset: 50_000)
        #expect(try words { _ = try source.read(0..<7) }.contains("got shorter"))
        #expect(try source.read(0..<3).allSatisfy { $0 == 7 })
    }

    @Test func `what can't be read is said with its name`() throws {
        let folder = try Folder()
        let said = try words { _ = try ImageSource(folder.path + "/missing") }
        #expect(said.contains("/missing: No such file or directory"))
        try Data().write(to: URL(filePath: folder.path + "/empty"))
        #expect(throws: BackupFailure.self) { try ImageSource(folder.path + "/empty") }
    }
}
