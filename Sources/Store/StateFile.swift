internal import Glibc

/// A small file that is replaced whole: temporary file, sync, rename, sync of the directory.
package struct StateFile: Sendable {
    package struct Failed: Error, CustomStringConvertible, Sendable {
        package let path: String
        package let deed: String
        package let code: Int32

        package init(path: String, deed: String, code: Int32) {
            self.path = path
            self.deed = deed
            self.code = code
        }

        package var description: String {
            "cannot \(deed) \(path): \(unsafe String(cString: strerror(code)))"
        }
    }

    static let unfinishedSuffix = ".new"

    private let directory: String
    private let name: String
    private var path: String { "\(directory)/\(name)" }

    package init(_ name: String, in directory: String) {
        self.directory = directory
        self.name = name
    }

    /// nil when there is none yet.
    package func read(bytesMax: Int) throws(Failed) -> [UInt8]? {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw Failed(path: path, deed: "open", code: errno)
        }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        let count = unsafe bytes.withUnsafeMutableBytes {
            unsafe Glibc.read(file, $0.baseAddress, bytesMax)
        }
        guard count >= 0 else { throw Failed(path: path, deed: "read", code: errno) }
        return Array(bytes[..<count])
    }

    package func replace(_ bytes: [UInt8]) throws(Failed) {
        let temporary = path + Self.unfinishedSuffix
        let file = unsafe open(
            temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw Failed(path: temporary, deed: "create", code: errno) }
        defer { close(file) }
        let count = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.write(file, $0.baseAddress, bytes.count)
        }
        guard count == bytes.count else {
            throw Failed(path: temporary, deed: "write", code: errno)
        }
        guard fsync(file) == 0 else { throw Failed(path: temporary, deed: "sync", code: errno) }
        guard unsafe rename(temporary, path) == 0 else {
            throw Failed(path: path, deed: "rename", code: errno)
        }
        try FileSystem.syncDirectory(directory)
    }
}
