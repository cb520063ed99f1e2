internal import Glibc

/// Where a mount may listen: who else can write there could put a socket of his own in its place.
package enum MountSocket {
    /// A socket's path has at most 107 bytes on Linux, and is longer by ".new" until it is closed to others.
    static let pathByteCountMax = 103

    package static func check(_ path: String) throws(MountFailure) {
        guard path.utf8.count <= pathByteCountMax else {
            throw .socket(
                "\(path) is longer than \(pathByteCountMax) bytes: give a shorter path")
        }
        let slash = path.lastIndex(of: "/")
        let above = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        var status = stat()
        guard unsafe stat(above, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw .socket("\(above) is no directory: make it, with mode 0700")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0, status.st_mode & 0o022 == 0 else {
            throw .socket(
                "others than you may write to \(above), and put another socket in the place of this one\n  "
                    + "Name one in a directory of your own, with mode 0700.")
        }
        // It is bound beside its place first, where another one may serve whose name ends so.
        for path in [path, path + ".new"] { try checkFree(path) }
    }

    private static func checkFree(_ path: String) throws(MountFailure) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw .socket("\(path) is there, and no socket: move it away, or name another place")
        }
        guard !answers(path) else {
            throw .socket("somebody answers on \(path) already: end that, or name another place")
        }
    }

    /// One on which nobody answers was left by a process that was killed.
    private static func answers(_ path: String) -> Bool {
        let probe = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { return true }
        defer { close(probe) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            for (at, byte) in path.utf8.enumerated() { unsafe bytes[at] = byte }
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { plain in
                unsafe connect(probe, plain, length)
            }
        }
        return code == 0 || errno != ECONNREFUSED
    }
}
