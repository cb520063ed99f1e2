internal import Glibc

/// Writes and reads the small files a certificate authority consists of.
enum CertificateFile {
    static let bytesMax = 1 << 16

    /// Writes beside the name and links it into place, so that a reader sees either no file or a
    /// whole one, and a crash never leaves half a key under the name that counts. The mode is set at
    /// creation: a key is at no moment readable by others.
    static func write(_ text: String, to path: String, mode: mode_t, replacing: Bool)
        throws(CertificateError)
    {
        let beside = "\(path).new-\(getpid())"
        unsafe unlink(beside)
        let file = unsafe open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard file >= 0 else { throw .file(path: beside, doing: "create", errno: errno) }
        defer { unsafe unlink(beside) }
        var failure = writeAll(text, to: file)
        // A umask may only have taken bits away; say the mode anyway, once, where it can't be raced.
        if failure == 0, fchmod(file, mode) != 0 { failure = errno }
        if failure == 0, fsync(file) != 0 { failure = errno }
        close(file)
        guard failure == 0 else { throw .file(path: beside, doing: "write", errno: failure) }
        // link() refuses an existing name atomically; rename() replaces it atomically.
        let placed = unsafe replacing ? rename(beside, path) : link(beside, path)
        guard placed == 0 else {
            if !replacing, errno == EEXIST { throw .exists(path: path) }
            throw .file(path: path, doing: "place", errno: errno)
        }
        try syncDirectory(of: path)
    }

    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// Whether there is no such file; one that can't be looked at may be there.
    static func isAbsent(_ path: String) -> Bool {
        unsafe access(path, F_OK) != 0 && errno == ENOENT
    }

    static func read(_ path: String) throws(CertificateError) -> String {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .file(path: path, doing: "open", errno: errno) }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
        var filled = 0
        while filled < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe Glibc.read(
                    file, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw .file(path: path, doing: "read", errno: errno)
            }
            if count == 0 { break }
            filled += count
        }
        guard filled <= bytesMax else { throw .file(path: path, doing: "read", errno: EFBIG) }
        return String(decoding: bytes[..<filled], as: UTF8.self)
    }

    static func makeDirectory(_ path: String) throws(CertificateError) {
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw .file(path: path, doing: "create directory", errno: errno)
        }
    }

    private static func writeAll(_ text: String, to file: CInt) -> CInt {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(
                    file, buffer.baseAddress?.advanced(by: written), buffer.count - written)
            }
            if count < 0 {
                if errno == EINTR { continue }
                return errno
            }
            written += count
        }
        return 0
    }

    private static func syncDirectory(of path: String) throws(CertificateError) {
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let file = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw .file(path: directory, doing: "open", errno: errno) }
        defer { close(file) }
        guard fsync(file) == 0 else {
            throw .file(path: directory, doing: "sync", errno: errno)
        }
    }
}
