@testable import Backup
import Foundation
import Repository
import Sealing
import Testing

@Suite("Keys in files") struct KeyStorageTests {
    private static func withFolder(_ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "hfk-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private static func key() throws -> KeyFile {
        KeyFile(
            repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 3, low: 4),
            secret: try Rig.secret(77))
    }

    private static func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    private static func write(_ text: String, _ path: String, mode: Int = 0o600) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    @Test func `a key that was made is its owner's alone, and read back`() throws {
        try Self.withFolder { folder in
            let (path, key) = (folder + "/key", try Self.key())
            try KeyStorage.make(key, path)
            #expect(try Self.mode(path) == 0o600)
            let read = try KeyStorage.keyFile(path)
            #expect(read.repository == key.repository && read.tenant == key.tenant)
            #expect(read.secret.isSame(as: key.secret))
        }
    }

    @Test func `no key is written over anything, and none is left half made`() throws {
        try Self.withFolder { folder in
            let path = folder + "/key"
            try Self.write("the only one", path)
            let told = try words { try KeyStorage.make(Self.key(), path) }
            #expect(told == "\(path) is there already: no key is written over anything")
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "the only one")
            try FileManager.default.createSymbolicLink(
                atPath: folder + "/link", withDestinationPath: folder + "/elsewhere")
            #expect(throws: BackupFailure.self) {
                try KeyStorage.make(Self.key(), folder + "/link")
            }
            #expect(!FileManager.default.fileExists(atPath: folder + "/elsewhere"))
            let nowhere = try words { try KeyStorage.make(Self.key(), folder + "/none/key") }
            #expect(nowhere == "cannot make \(folder)/none/key: No such file or directory")
        }
    }

    @Test(arguments: [0o640, 0o604, 0o660, 0o620, 0o644, 0o601])
    func `what others may read is no secret`(mode: Int) throws {
        try Self.withFolder { folder in
            let path = folder + "/key"
            try KeyStorage.make(Self.key(), path)
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            for read in [
                { _ = try KeyStorage.keyFile(path) }, { _ = try KeyStorage.passphrase(path) },
            ] {
                let told = try words(read)
                #expect(told.contains("mode 0\(String(mode, radix: 8))"))
                #expect(told.hasSuffix(": chmod 600 \(path)"))
            }
            try FileManager.default.setAttributes([.posixPermissions: 0o400], ofItemAtPath: path)
            #expect(try KeyStorage.keyFile(path).repository == Self.key().repository)
        }
    }

    @Test func `what is no key is named, and not shown`() throws {
        try Self.withFolder { folder in
            let path = folder + "/key"
            #expect(
                try words { _ = try KeyStorage.keyFile(path) }
                    == "cannot open \(path): No such file or directory")
            try Self.write("-----BEGIN PRIVATE KEY-----\n", path)
            #expect(
                try words { _ = try KeyStorage.keyFile(path) } == "\(path): it is no key file")
            try Self.write(String(repeating: "#", count: 4_097), path)
            let long = try words { _ = try KeyStorage.keyFile(path) }
            #expect(long == "\(path) has more than 4096 bytes: no key is so long")
            try #require(unsafe mkfifo(folder + "/pipe", 0o600) == 0)
            for path in [folder + "/pipe", folder] {
                #expect(try words { _ = try KeyStorage.keyFile(path) } == "\(path) is no file")
            }
        }
    }

    @Test(
        arguments: [
            ("correct horse\n", "correct horse"), ("correct horse", "correct horse"),
            (" a \r\n", " a "), ("a\n\n", "a\n"),
        ])
    func `a passphrase is all of its file but the last line break`(text: String, words: String)
        throws
    {
        try Self.withFolder { folder in
            let path = folder + "/passphrase"
            try Self.write(text, path)
            #expect(try KeyStorage.passphrase(path) == Array(words.utf8))
        }
    }

    @Test(arguments: ["", "\n", "\r\n"])
    func `an empty passphrase is none`(text: String) throws {
        try Self.withFolder { folder in
            try Self.write(text, folder + "/passphrase")
            let told = try words { _ = try KeyStorage.passphrase(folder + "/passphrase") }
            #expect(told == "\(folder)/passphrase holds no passphrase: it is empty")
        }
    }
}
