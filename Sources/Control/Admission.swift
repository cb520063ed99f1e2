internal import Glibc
internal import NIOCore

/// Who may use the socket. Its mode says the same; this holds also where somebody changed the mode,
/// and it tells the refused why.
struct Admission: Hashable, Sendable {
    let owner: UInt32

    func refusal(of user: UInt32) -> HTTPRefused? {
        user == 0 || user == owner ? nil : .stranger(user: user, owner: owner)
    }
}

/// What the kernel says of the process at the other end: `struct ucred` (unix(7)).
struct PeerCredentials: Hashable, Sendable {
    let process: Int32
    let user: UInt32
    let group: UInt32

    static func of(_ channel: any Channel) -> EventLoopFuture<PeerCredentials> {
        guard let provider = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
        }
        return provider.unsafeGetSocketOption(
            level: SocketOptionLevel(SOL_SOCKET), name: SocketOptionName(SO_PEERCRED))
    }
}
