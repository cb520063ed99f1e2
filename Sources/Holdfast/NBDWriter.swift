internal import Backup
internal import Glibc
internal import NBDProtocol
internal import NIOConcurrencyHelpers

/// A client of one volume's NBD socket that only writes: what a restore into a mesh needs (NBD proto.md).
final class NBDWriter: Sendable {
    /// A mesh that answers nothing for so long has no quorum.
    static let answerSecondsMax = 60
    /// WRITE_ZEROES goes in steps of so much.
    static let zerosByteCountMax: UInt64 = 1 << 30

    private static let greeting = Array("NBDMAGICIHAVEOPT".utf8)
    private static let optionReplyMagic: UInt64 = 0x0003_e889_0455_65a9
    private static let acknowledged: UInt64 = 1
    private static let exportInfo: UInt64 = 3
    private static let simpleReplyMagic: UInt64 = 0x6744_6698
    private static let go: UInt64 = 7
    /// A server that is gone is an error, and not the end of this process.
    private static let noSignal = Int32(MSG_NOSIGNAL)
    private static let optionDataByteCountMax: UInt64 = 64 << 10

    private let descriptor: CInt
    private let path: String
    /// The cookie of the next request; held while one is under way.
    private let cookie = NIOLockedValueBox<UInt64>(1)

    /// Refuses a volume of another size than it has to be of.
    init(_ path: String, volume: String, byteCount: UInt64) throws(BackupFailure) {
        self.path = path
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Self.failure("make a socket for", path) }
        try connect()
        let size = try handshake(volume)
        guard size == byteCount else {
            throw .volume("volume \(volume) has \(size) bytes, and \(byteCount) are to be restored")
        }
    }

    deinit { close(descriptor) }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure) {
        try ask(.write, at: offset, byteCount: UInt64(bytes.count), bytes)
    }

    func zero(_ range: Range<UInt64>) throws(BackupFailure) {
        var at = range.lowerBound
        while at < range.upperBound {
            let count = min(range.upperBound - at, Self.zerosByteCountMax)
            try ask(.writeZeroes, at: at, byteCount: count)
            at += count
        }
    }

    /// All that was written is as safe as the volume's mode says.
    func flush() throws(BackupFailure) { try ask(.flush, at: 0, byteCount: 0) }

    /// The server sees this client go now.
    func hangUp() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

    private func ask(
        _ command: NBDRequest.Command, at offset: UInt64, byteCount: UInt64, _ data: [UInt8] = []
    ) throws(BackupFailure) {
        let outcome = cookie.withLockedValue { cookie -> Result<Void, BackupFailure> in
            defer { cookie += 1 }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(NBDRequest.headerByteCount + data.count)
            bytes.append(UInt64(NBDRequest.magic), bigEndian: 4)
            bytes.append(0, bigEndian: 2)
            bytes.append(UInt64(command.rawValue), bigEndian: 2)
            bytes.append(cookie, bigEndian: 8)
            bytes.append(offset, bigEndian: 8)
            bytes.append(byteCount, bigEndian: 4)
            do throws(BackupFailure) {
                try send(bytes + data)
                let reply = try receive(16)
                guard Self.number(reply[..<4]) == Self.simpleReplyMagic,
                    Self.number(reply[8...]) == cookie
                else { throw .volume("\(path) answers what was not asked") }
                let code = Self.number(reply[4..<8])
                guard code == 0 else {
                    throw .volume(
                        "\(path) refuses to \(command) \(byteCount) bytes at \(offset): "
                            + "\(unsafe String(cString: strerror(Int32(truncatingIfNeeded: code))))"
                    )
                }
                return .success(())
            } catch { return .failure(error) }
        }
        try outcome.get()
    }

    private func connect() throws(BackupFailure) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < room else { throw .volume("\(path) is too long for a socket") }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            for (at, byte) in path.utf8.enumerated() { unsafe bytes[at] = byte }
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { plain in
                unsafe Glibc.connect(descriptor, plain, length)
            }
        }
        guard code == 0 else { throw Self.failure("connect to", path) }
        var limit = timeval(tv_sec: Self.answerSecondsMax, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            _ = unsafe setsockopt(
                descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    /// Opens the export, and gives its size.
    private func handshake(_ volume: String) throws(BackupFailure) -> UInt64 {
        let greeting = try receive(18)
        guard Array(greeting[..<16]) == Self.greeting, Self.number(greeting[16...]) & 1 == 1 else {
            throw .volume("\(path) does not speak NBD as volumes do")
        }
        var bytes: [UInt8] = []
        bytes.append(3, bigEndian: 4)
        bytes += "IHAVEOPT".utf8
        bytes.append(Self.go, bigEndian: 4)
        bytes.append(UInt64(volume.utf8.count + 6), bigEndian: 4)
        bytes.append(UInt64(volume.utf8.count), bigEndian: 4)
        bytes += volume.utf8
        bytes.append(0, bigEndian: 2)
        try send(bytes)
        var size: UInt64?
        while true {
            let head = try receive(20)
            let count = Self.number(head[16...])
            guard Self.number(head[..<8]) == Self.optionReplyMagic,
                count <= Self.optionDataByteCountMax
            else { throw .volume("\(path) does not speak NBD as volumes do") }
            let (kind, data) = (Self.number(head[12..<16]), try receive(Int(count)))
            if kind == Self.acknowledged, let size { return size }
            guard kind == Self.exportInfo else {
                throw .volume("\(path) does not open volume \(volume)")
            }
            if data.count >= 10, Self.number(data[..<2]) == 0 { size = Self.number(data[2..<10]) }
        }
    }

    private func send(_ bytes: [UInt8]) throws(BackupFailure) {
        var done = 0
        while done < bytes.count {
            let step = unsafe bytes.withUnsafeBytes { all in
                unsafe Glibc.send(
                    descriptor, all.baseAddress.map { unsafe $0 + done }, all.count - done,
                    Self.noSignal)
            }
            if step < 0, errno == EINTR { continue }
            guard step > 0 else { throw Self.failure("write to", path) }
            done += step
        }
    }

    private func receive(_ count: Int) throws(BackupFailure) -> [UInt8] {
        var (bytes, done) = ([UInt8](repeating: 0, count: count), 0)
        while done < count {
            let step = unsafe bytes.withUnsafeMutableBytes { all in
                unsafe read(
                    descriptor, all.baseAddress.map { unsafe $0 + done }, count - done)
            }
            if step < 0, errno == EINTR { continue }
            guard step >= 0 else { throw Self.failure("hear from", path) }
            guard step > 0 else {
                throw .volume("\(path) was closed: this node is no longer primary, or stops")
            }
            done += step
        }
        return bytes
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func failure(_ deed: String, _ path: String) -> BackupFailure {
        .volume("cannot \(deed) \(path): \(unsafe String(cString: strerror(errno)))")
    }
}
