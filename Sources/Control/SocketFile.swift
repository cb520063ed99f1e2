import Glibc
internal import NIOCore

/// Why the admin socket could not be opened.
package enum SocketRefused: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLong(path: String)
    case taken(path: String)
    case inTheWay(path: String)
    case system(doing: String, path: String, errno: Int32)

    package static let pathBytesMax = 107

    package var description: String {
        switch self {
        case .tooLong(let path):
            "the admin socket's path \(path) is longer than \(Self.pathBytesMax) bytes: "
                + "set `run` to a shorter directory"
        case .taken(let path):
            "another agent runs here: it answers on \(path). Stop it first, or set another `run`"
        case .inTheWay(let path):
            "\(path) is no socket and is left as it is: move it away, or set another `run`"
        case .system(let doing, let path, let errno):
            "cannot \(doing) \(path): \(unsafe String(cString: strerror(errno)))"
        }
    }
}

/// The name of a listening socket in the file system.
struct SocketFile: Hashable, Sendable {
    let path: String
    let descriptor: CInt
    private let device: dev_t
    private let inode: ino_t

    /// Listens at `path`. A socket on which nobody answers is replaced: its owner died.
    init(listeningAt path: String, backlog: CInt) throws(SocketRefused) {
        guard path.utf8.count <= SocketRefused.pathBytesMax,
            let address = try? SocketAddress(unixDomainSocketPath: path)
        else { throw .tooLong(path: path) }
        try Self.clear(path, address)
        let descriptor = socket(AF_UNIX, Self.kind, 0)
        guard descriptor >= 0 else { throw Self.failed("make a socket for", path) }
        do throws(SocketRefused) {
            // Linux gives the file the socket's own mode: at no moment may others connect.
            guard fchmod(descriptor, 0o600) == 0 else { throw Self.failed("protect", path) }
            let bound = unsafe address.withSockAddr { unsafe bind(descriptor, $0, UInt32($1)) }
            guard bound == 0 else { throw Self.failed("bind", path) }
            guard listen(descriptor, backlog) == 0 else { throw Self.failed("listen at", path) }
            guard let status = Self.status(of: path) else { throw Self.failed("look at", path) }
            self.path = path
            self.descriptor = descriptor
            (device, inode) = (status.st_dev, status.st_ino)
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Removes the name, unless another file has it now. To be called before the socket is closed: as
    /// long as it listens, no other agent takes the name, and no other file gets the inode.
    func remove() {
        guard let status = Self.status(of: path), status.st_dev == device, status.st_ino == inode
        else { return }
        unsafe unlink(path)
    }

    private static let kind = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)

    private static func clear(_ path: String, _ address: SocketAddress) throws(SocketRefused) {
        guard let status = status(of: path) else {
            guard errno == ENOENT else { throw failed("look at", path) }
            return
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .inTheWay(path: path) }
        let probe = socket(AF_UNIX, kind | CInt(SOCK_NONBLOCK.rawValue), 0)
        guard probe >= 0 else { throw failed("make a socket for", path) }
        defer { close(probe) }
        let connected = unsafe address.withSockAddr { unsafe connect(probe, $0, UInt32($1)) }
        // EAGAIN: somebody listens and has more callers than it can take.
        guard connected != 0, errno != EAGAIN else { throw .taken(path: path) }
        guard errno == ECONNREFUSED else { throw failed("probe", path) }
        guard unsafe unlink(path) == 0 else { throw failed("remove the dead socket", path) }
    }

    private static func status(of path: String) -> stat? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status : nil
    }

    private static func failed(_ doing: String, _ path: String) -> SocketRefused {
        .system(doing: doing, path: path, errno: errno)
    }
}
