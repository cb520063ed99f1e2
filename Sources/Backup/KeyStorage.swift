internal import Glibc
package import Repository
package import Sealing

/// Keys in files on this machine, which their owner alone may read.
package enum KeyStorage {
    /// Refuses a file that others may read, and says which command mends that.
    package static func keyFile(_ path: String) throws(BackupFailure) -> KeyFile {
        let bytes = try secretBytes(path)
        do throws(KeyFileRefused) { return try KeyFile(parsing: bytes) } catch {
            throw .key("\(path): \(error)")
        }
    }

    /// The whole file, but for the line break at its end.
    package static func passphrase(_ path: String) throws(BackupFailure) -> [UInt8] {
        var bytes = try secretBytes(path)
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard !bytes.isEmpty else { throw .key("\(path) holds no passphrase: it is empty") }
        return bytes
    }

    /// The public half of an escrow key, which may be open to all.
    package static func escrowPublic(_ path: String) throws(BackupFailure) -> BoxPublicKey {
        let bytes = try file(path, isSecret: false).bytes
        do throws(EscrowFileRefused) { return try EscrowFile.publicKey(parsing: bytes) } catch {
            throw .key("\(path): \(error)")
        }
    }

    /// Makes a file that is durable, name included, when this returns. Refuses a path where something is already: what
    /// is written over could be the only key to somebody's backups.
    package static func make(_ key: KeyFile, _ path: String) throws(BackupFailure) {
        try make(key.text, path, mode: 0o600)
    }

    /// Makes both halves of an escrow key; the private one first, so that nothing is ever closed to a key that is lost.
    package static func makeEscrow(
        _ secret: Secret, _ path: String, publicPath: String
    ) throws(BackupFailure) {
        guard let text = EscrowFile.text(of: secret), let key = BoxPrivateKey(secret).publicKey
        else { throw .key("no public key belongs to what was drawn; try again") }
        try make(text, path, mode: 0o600)
        do throws(BackupFailure) {
            try make(EscrowFile.text(of: key), publicPath, mode: 0o644)
        } catch {
            // Nobody has seen its public half.
            unsafe unlink(path)
            throw error
        }
    }

    /// The record of an erasure, which nobody has to hide.
    package static func makeRecord(_ text: [UInt8], _ path: String) throws(BackupFailure) {
        try make(text, path, mode: 0o644)
    }

    private static func make(
        _ text: [UInt8], _ path: String, mode: mode_t
    ) throws(BackupFailure) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let file = unsafe open(path, flags, mode)
        guard file >= 0 else {
            guard errno != EEXIST else {
                throw .key("\(path) is there already: no key is written over anything")
            }
            throw failure("make", path)
        }
        do throws(BackupFailure) {
            defer { close(file) }
            // A umask may have taken the owner's bits.
            guard fchmod(file, mode) == 0, write(text, to: file), fsync(file) == 0 else {
                throw failure("write", path)
            }
            try syncFolder(of: path)
        } catch {
            unsafe unlink(path)
            throw error
        }
    }

    private static func failure(
        _ deed: String, _ path: String, _ code: Int32 = errno
    ) -> BackupFailure {
        .key("cannot \(deed) \(path): \(unsafe String(cString: strerror(code)))")
    }

    /// All of a file that holds a secret, whatever it is.
    package static func secretBytes(_ path: String) throws(BackupFailure) -> [UInt8] {
        try file(path, isSecret: true).bytes
    }

    package struct SecretFile: Sendable {
        package let bytes: [UInt8]
        /// The user it belongs to.
        package let owner: UInt32
    }

    package static func secretFile(_ path: String) throws(BackupFailure) -> SecretFile {
        try file(path, isSecret: true)
    }

    /// To tell what a file is, whoever may read it: nothing is taken from it yet.
    package static func openBytes(_ path: String) throws(BackupFailure) -> [UInt8] {
        try file(path, isSecret: false).bytes
    }

    private static func file(
        _ path: String, isSecret: Bool
    ) throws(BackupFailure) -> SecretFile {
        // Nothing is waited for: what lies there may be a pipe.
        let file = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { throw failure("open", path) }
        defer { close(file) }
        let owner = try demandFile(file, path, isSecret: isSecret)
        var bytes = [UInt8](repeating: 0, count: KeyFile.byteCountMax + 1)
        var count = 0
        while count < bytes.count {
            let step = unsafe bytes.withUnsafeMutableBytes { room in
                unsafe Glibc.read(
                    file, room.baseAddress.map { unsafe $0 + count }, room.count - count)
            }
            if step < 0, errno == EINTR { continue }
            guard step >= 0 else { throw failure("read", path) }
            if step == 0 { return SecretFile(bytes: Array(bytes[..<count]), owner: owner) }
            count += step
        }
        throw .key("\(path) has more than \(KeyFile.byteCountMax) bytes: no key is so long")
    }

    private static func demandFile(
        _ file: CInt, _ path: String, isSecret: Bool
    ) throws(BackupFailure) -> UInt32 {
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { throw failure("look at", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .key("\(path) is no file") }
        guard !isSecret || status.st_mode & 0o077 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw .key(
                "\(path) is open to others than its owner (mode 0\(mode)), so the key may not be "
                    + "secret: chmod 600 \(path)")
        }
        return status.st_uid
    }

    private static func write(_ bytes: [UInt8], to file: CInt) -> Bool {
        var done = 0
        while done < bytes.count {
            let step = unsafe bytes.withUnsafeBytes { all in
                unsafe Glibc.write(file, all.baseAddress.map { unsafe $0 + done }, all.count - done)
            }
            if step < 0, errno == EINTR { continue }
            guard step > 0 else { return false }
            done += step
        }
        return true
    }

    private static func syncFolder(of path: String) throws(BackupFailure) {
        let above = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let folder = unsafe open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure("open", above) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failure("sync", above) }
    }
}
