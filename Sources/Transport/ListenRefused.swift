internal import Glibc
internal import NIOCore

/// This node can't listen where the cluster file says that it does.
package struct ListenRefused: Error, Hashable, Sendable, CustomStringConvertible {
    package let address: String
    /// 0 where the system gave none, as for a name that is not known.
    package let code: Int32
    private let why: String

    init(host: String, port: Int, _ error: any Error) {
        address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        code = (error as? IOError)?.errnoCode ?? 0
        why = code == 0 ? "\(error)" : unsafe String(cString: strerror(code))
    }

    /// Another process has it; it may go.
    package var isTaken: Bool { code == EADDRINUSE }

    package var description: String {
        "cannot listen on \(address), this node's address in the cluster file: \(why); "
            + (isTaken
                ? "end the process that holds it, or give this node another port"
                : "see that the address is one of this machine's, and its network up")
    }
}
