@testable import Backup
import Foundation
import Mesh
import NIOConcurrencyHelpers
import Repository
import Testing

@Suite("Restored images: what is left of one that ended early, and what is replaced")
struct ImageTargetTests {
    private typealias Folder = ImageFileTests.Folder

    /// A volume with data, zeros and holes, its backup, and its bytes.
    private struct Made {
        let volume: MemoryVolume
        let map: VolumeMap
        let vault: Vault

        init(seed: UInt64, byteCount: UInt64 = 3 << 20 | 5_000) throws {
            var volume = try MemoryVolume(byteCount)
            var random = SeededRandom(seed: seed)
            volume.fill(400, kinds: 300, &random)
            self.volume = volume
            vault = try Rig.vault(MemoryStore(), Rig.small)
            map = try Rig.back(up: volume, vault).manifest.manifest.volumes[0].map
        }

        var reader: BackupReader { get throws { try BackupReader(vault, threads: 2) } }

        /// Restores until so many bytes are written; whoever is killed leaves no more behind.
        func begin(_ path: String, bytesMax: Int) throws -> Int {
            let image = try ImageTarget(path, byteCount: map.shape.byteCount, remains: .kept)
            let target = Counted(target: image, bytesMax: bytesMax)
            if (try? reader.complete(map, in: target)) != nil { try image.finish() }
            return target.writtenByteCount
        }

        func complete(_ path: String) throws -> (kept: UInt64, written: Int) {
            let image = try ImageTarget(path, byteCount: map.shape.byteCount, remains: .kept)
            let target = Counted(target: image)
            let kept = try reader.complete(map, in: target)
            try image.finish()
            return (kept, target.writtenByteCount)
        }
    }

    private final class Counted: HeldTarget {
        private let target: ImageTarget
        private let bytesMax: Int
        private let written = NIOLockedValueBox(0)
        var writtenByteCount: Int { written.withLockedValue { $0 } }

        init(target: ImageTarget, bytesMax: Int = .max) {
            (self.target, self.bytesMax) = (target, bytesMax)
        }
        func held() throws(BackupFailure) -> [Range<UInt64>] { try target.held() }
        func read(_ range: Range<UInt64>) throws(BackupFailure) -> [UInt8] {
            try target.read(range)
        }
        func zero(_ range: Range<UInt64>) throws(BackupFailure) { try target.zero(range) }
        func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure) {
            let isLast = written.withLockedValue { written in
                guard written + bytes.count <= bytesMax else { return true }
                written += bytes.count
                return false
            }
            if isLast { throw .volume("killed") }
            try target.write(bytes, at: offset)
        }
    }

    private static func partial(_ path: String) -> String { path + ImageTarget.partialSuffix }

    private static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: path)))
    }

    @Test func `what was restored before an early end is not fetched again`() throws {
        let (made, folder) = (try Made(seed: 1), try Folder())
        let path = folder.path + "/image"
        let whole = try made.begin(folder.path + "/whole", bytesMax: .max)
        for bytesMax in [150_000, 100_000, 200_000] {
            let first = try made.begin(path, bytesMax: bytesMax)
            #expect(first <= bytesMax)
            #expect(!FileManager.default.fileExists(atPath: path), "it has no name yet")
            #expect(FileManager.default.fileExists(atPath: Self.partial(path)))
        }
        let held = try Self.allocated(Self.partial(path))
        let (kept, written) = try made.complete(path)
        #expect(kept >= 300_000 && Int(kept) <= held)
        #expect(written + Int(kept) >= whole && written <= whole - Int(kept) + 4_096)
        #expect(try Self.bytes(path) == made.volume.contents)
        #expect(!FileManager.default.fileExists(atPath: Self.partial(path)))
    }

    private static func allocated(_ path: String) throws -> Int {
        Int(
            ImageTarget.remainingByteCount(
                of: String(path.dropLast(ImageTarget.partialSuffix.count))))
    }

    /// What is held is believed of nothing but what it is.
    @Test(arguments: 1...20)
    func `whatever the left file holds, the image is that of the backup`(seed: UInt64) throws {
        let (made, other) = (try Made(seed: seed), try Made(seed: seed + 1))
        let folder = try Folder()
        let path = folder.path + "/image"
        var random = SeededRandom(seed: seed)
        let beginner = seed % 2 == 0 ? made : other
        _ = try beginner.begin(path, bytesMax: 500_000)
        let file = try #require(FileHandle(forWritingAtPath: Self.partial(path)))
        for _ in 0..<random.next() % 30 {
            try file.seek(toOffset: random.next() % (3 << 20))
            let garbage = [UInt8](
                repeating: UInt8(random.next() % 3), count: 1 + Int(random.next() % 9_000))
            try file.write(contentsOf: Data(garbage))
        }
        if random.next() % 3 == 0 { try file.truncate(atOffset: random.next() % (5 << 20)) }
        try file.close()
        _ = try made.complete(path)
        #expect(try Self.bytes(path) == made.volume.contents)
    }

    @Test func `nothing is left of a restore that had nothing, or that was no user's`() throws {
        let folder = try Folder()
        let path = folder.path + "/image"
        var target: ImageTarget? = try ImageTarget(path, byteCount: 9_000, remains: .kept)
        target = nil
        #expect(!FileManager.default.fileExists(atPath: Self.partial(path)))
        target = try ImageTarget(path, byteCount: 9_000, remains: .kept)
        try target?.write([1], at: 0)
        target?.discard()
        target = nil
        #expect(!FileManager.default.fileExists(atPath: Self.partial(path)))
        // One that does not go on from what is there leaves it to those that do.
        try Data([1, 2, 3]).write(to: URL(filePath: Self.partial(path)))
        let fresh = try ImageTarget(path, byteCount: 5)
        try fresh.finish()
        #expect(try Self.bytes(path) == [0, 0, 0, 0, 0])
        #expect(try Self.bytes(Self.partial(path)) == [1, 2, 3])
        let other = try ImageTarget(path, byteCount: 5, existing: .replaced, remains: .kept)
        try other.empty()
        #expect(try other.held() == [] && other.read(0..<5) == [0, 0, 0, 0, 0])
    }

    /// Two that restore to one path must not write into each other's file.
    @Test func `of two restores to one path the second is refused`() throws {
        let folder = try Folder()
        let path = folder.path + "/image"
        let one = try ImageTarget(path, byteCount: 3, remains: .kept)
        #expect(
            try words { _ = try ImageTarget(path, byteCount: 3, remains: .kept) }
                .contains("another restore to"))
        try one.write([1, 1, 1], at: 0)
        try one.finish()
        #expect(try words { _ = try ImageTarget(path, byteCount: 3) }.contains("there already"))
        #expect(try Self.bytes(path) == [1, 1, 1])
    }

    @Test func `who opened the file of one that ended just then does not write into its image`()
        throws
    {
        let folder = try Folder()
        let place = try ImagePlace(folder.path + "/image")
        let leaf = "image" + PartialFile.suffix(.deleted)
        let late = try OpenFile(leaf, O_RDWR | O_CREAT, in: place.folder)
        #expect(try PartialFile.status(late, leaf, in: place) != nil)
        try ImageTarget(place.path, byteCount: 3).finish()
        #expect(try PartialFile.status(late, leaf, in: place) == nil)
        // Nor where a third one has begun since.
        let third = try ImageTarget(place.path, byteCount: 3, existing: .replaced)
        #expect(try PartialFile.status(late, leaf, in: place) == nil)
        third.discard()
    }

    @Test func `a file that no restore left there is not written into`() throws {
        let folder = try Folder()
        let path = folder.path + "/image"
        let other = folder.path + "/other"
        try Data([7]).write(to: URL(filePath: other))
        try FileManager.default.linkItem(atPath: other, toPath: Self.partial(path))
        #expect(
            try words { _ = try ImageTarget(path, byteCount: 3, remains: .kept) }
                .contains("is not what a restore left"))
        try FileManager.default.removeItem(atPath: Self.partial(path))
        try FileManager.default.createSymbolicLink(
            atPath: Self.partial(path), withDestinationPath: other)
        #expect(
            try words { _ = try ImageTarget(path, byteCount: 3, remains: .kept) }
                .contains("cannot open"))
        #expect(try Self.bytes(other) == [7])
    }

    @Test(arguments: ["", "/", "/.", "/.."])
    func `what names no file is refused before anything is fetched`(end: String) throws {
        let folder = try Folder()
        let path = end.isEmpty ? "" : folder.path + end
        #expect(try words { _ = try ImageTarget(path, byteCount: 3) }.contains("names no file"))
        #expect(try words { try ImageTarget.checkReplacing(path) }.contains("names no file"))
    }

    /// What an image does then, `make backup` tries on a disk that runs full.
    @Test func `a file knows that it found no room`() throws {
        let folder = try Folder()
        let file = try OpenFile("/dev/full", O_RDWR)
        #expect(throws: BackupFailure.self) { try file.write([1], at: 0) }
        #expect(file.isOutOfRoom)
        let other = try OpenFile(folder.path + "/other", O_RDWR | O_CREAT)
        try other.write([1], at: 0)
        #expect(!other.isOutOfRoom)
    }

    /// Its owner was taken from the image that is replaced, and then its name could not be.
    @Test(.enabled(if: geteuid() == 0))
    func `what has the owner of the image that it replaces is gone on with`() throws {
        let folder = try Folder()
        let path = folder.path + "/image"
        try Data([7]).write(to: URL(filePath: path))
        try Data([1, 2, 3]).write(to: URL(filePath: Self.partial(path)))
        for place in [path, Self.partial(path)] { #expect(unsafe chown(place, 1_000, 1_000) == 0) }
        let target = try ImageTarget(path, byteCount: 3, existing: .replaced, remains: .kept)
        #expect(try target.read(0..<3) == [1, 2, 3])
        target.discard()
        try Data([1, 2, 3]).write(to: URL(filePath: Self.partial(path)))
        #expect(unsafe chown(Self.partial(path), 1_001, 1_000) == 0)
        #expect(
            try words {
                _ = try ImageTarget(path, byteCount: 3, existing: .replaced, remains: .kept)
            }.contains("is not what a restore left"))
    }

    @Test func `an image is replaced when the new one is whole, with its rights`() throws {
        let folder = try Folder()
        let path = folder.path + "/image"
        try Data([7]).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        let target = try ImageTarget(path, byteCount: 3, existing: .replaced)
        try target.write([1, 2, 3], at: 0)
        #expect(try Self.bytes(path) == [7])
        try target.finish()
        #expect(try Self.bytes(path) == [1, 2, 3])
        let rights = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(rights as? Int == 0o640)
        // And where nothing is there, nothing need be.
        try ImageTarget(path + "2", byteCount: 3, existing: .replaced).finish()
    }

    private func refused(_ path: String) throws -> String {
        try words { _ = try ImageTarget(path, byteCount: 3, existing: .replaced) }
    }

    @Test func `neither a folder nor a link is replaced`() throws {
        let folder = try Folder()
        let path = folder.path + "/image"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false)
        #expect(try refused(path).contains("no regular file"))
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createSymbolicLink(
            atPath: path, withDestinationPath: folder.path + "/other")
        #expect(try refused(path).contains("no regular file"))
    }

    @Test func `what a guest runs from is not replaced`() throws {
        let folder = try Folder()
        let path = folder.path + "/image"
        try Data([7]).write(to: URL(filePath: path))
        let guest = try #require(FileHandle(forUpdatingAtPath: path))
        // As a hypervisor does it: a byte, for reading, by the open file.
        var lock = flock()
        (lock.l_start, lock.l_len) = (100, 1)
        let (forReading, set) = (Int16(0), CInt(37))
        lock.l_type = forReading
        #expect(unsafe fcntl(guest.fileDescriptor, set, &lock) == 0)
        #expect(try refused(path).contains("locked by a program"))
        try guest.close()
        #expect(try ImageTarget(path, byteCount: 3, existing: .replaced).held().isEmpty)
    }
}
