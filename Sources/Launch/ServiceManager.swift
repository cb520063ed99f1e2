internal import Glibc

/// Tells systemd how the service does (sd_notify(3)): one datagram to the socket that it names. Does
/// nothing where nobody asked to be told.
package struct ServiceManager: Sendable {
    private let path: String?

    package init(socket: String? = Self.inherited) { path = socket }

    private static var inherited: String? {
        guard let value = unsafe getenv("NOTIFY_SOCKET") else { return nil }
        return unsafe String(cString: value)
    }

    package func ready(_ status: String) { send("READY=1\nSTATUS=\(status)") }
    package func status(_ status: String) { send("STATUS=\(status)") }
    package func stopping() { send("STOPPING=1") }

    private func send(_ state: String) {
        guard let path, !path.isEmpty else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        // An abstract name is written with `@` and begins with a zero byte.
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard bytes.count < room else { return }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let message = Array(state.utf8)
        _ = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                unsafe sendto(
                    descriptor, message, message.count, Int32(MSG_NOSIGNAL), name, length)
            }
        }
    }
}
