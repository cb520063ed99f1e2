internal import CDisk
internal import Glibc

/// What clients write: a file that has no name, so that nothing of it is left however the process ends.
final class OverlayFile: Sendable {
    /// A disk that runs full takes down what else is on it: a twentieth of it stays free, and no more than so much.
    private static let sparedByteCountMax: UInt64 = 1 << 30
    private static let sparedShare: UInt64 = 20
    /// Linux's, for want of a name in Swift's module of glibc: O_TMPFILE is __O_TMPFILE | O_DIRECTORY.
    private static let withoutName: CInt = 0o20_000_000 | O_DIRECTORY

    private let number: CInt
    private let directory: String
    private let spared: UInt64

    /// `sparing` is what has to stay free of the file system.
    init(in directory: String, sparing: UInt64? = nil) throws(MountFailure) {
        self.directory = directory
        number = try Self.open(in: directory)
        if let sparing {
            spared = sparing
        } else {
            var status = statvfs()
            let size =
                unsafe fstatvfs(number, &status) == 0
                ? UInt64(status.f_blocks) * UInt64(status.f_frsize) : 0
            spared = min(size / Self.sparedShare, Self.sparedByteCountMax)
        }
    }

    deinit { close(number) }

    private static func open(in directory: String) throws(MountFailure) -> CInt {
        let flags = O_RDWR | O_CLOEXEC
        let nameless = unsafe Glibc.open(directory, flags | withoutName, 0o600)
        if nameless >= 0 { return nameless }
        // Not every file system knows files without names.
        let name =
            "\(directory)/.holdfast-overlay-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        let file = unsafe Glibc.open(name, flags | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
        guard file >= 0, unsafe unlink(name) == 0 else {
            let why = unsafe String(cString: strerror(errno))
            throw .overlay("cannot make a file for what is written in \(directory): \(why)")
        }
        return file
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(MountFailure) {
        var status = statvfs()
        if unsafe fstatvfs(number, &status) == 0 {
            let free = UInt64(status.f_bavail) * UInt64(status.f_frsize)
            guard free >= spared, free - spared >= UInt64(bytes.count) else {
                throw .full(directory)
            }
        }
        var done = 0
        while done < bytes.count {
            let step = unsafe bytes.withUnsafeBytes { all in
                unsafe pwrite(
                    number, all.baseAddress.map { unsafe $0 + done }, all.count - done,
                    off_t(offset) + off_t(done))
            }
            if step < 0, errno == EINTR { continue }
            guard step > 0 else {
                guard errno == ENOSPC || errno == EDQUOT else { throw failure("write to") }
                throw .full(directory)
            }
            done += step
        }
    }

    /// What was never written, or freed, reads zero.
    func read(_ range: Range<UInt64>) throws(MountFailure) -> [UInt8] {
        var code: Int32 = 0
        let bytes = [UInt8](capacity: range.count) { room in
            unsafe room.withUnsafeMutableBufferPointer { room, made in
                var got = 0
                while got < range.count {
                    let at = unsafe room.baseAddress.map { unsafe $0 + got }
                    let step = unsafe pread(
                        number, at, range.count - got, off_t(range.lowerBound) + off_t(got))
                    if step < 0, errno == EINTR { continue }
                    if step < 0 { code = errno }
                    if step <= 0 { break }
                    got += step
                }
                for at in got..<range.count { unsafe room[at] = 0 }
                made = range.count
            }
        }
        guard code == 0 else { throw failure("read", code) }
        return bytes
    }

    /// Whether it now reads zero and takes no room.
    func free(_ range: Range<UInt64>) -> Bool {
        let count = Int64(range.upperBound - range.lowerBound)
        return holdfast_punch(number, Int64(range.lowerBound), count) == 0
    }

    private func failure(_ deed: String, _ code: Int32 = errno) -> MountFailure {
        .overlay(
            "cannot \(deed) the overlay in \(directory): \(unsafe String(cString: strerror(code)))")
    }
}
