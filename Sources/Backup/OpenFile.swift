internal import CDisk
internal import Glibc
internal import Mesh
internal import NIOConcurrencyHelpers
internal import Repository

/// An open file; every failure says which one.
final class OpenFile: Sendable {
    // SEEK_DATA and SEEK_HOLE of Linux, which Swift's module of glibc lacks.
    private static let seekData: CInt = 3
    private static let seekHole: CInt = 4

    let number: CInt
    let path: String
    private let metFullDisk = NIOLockedValueBox(false)

    /// Some of what was to be written found no room.
    var isOutOfRoom: Bool { metFullDisk.withLockedValue { $0 } }

    init(_ path: String, _ flags: CInt, in folder: OpenFile? = nil) throws(BackupFailure) {
        self.path = folder.map { "\($0.path)/\(path)" } ?? path
        number = unsafe openat(folder?.number ?? AT_FDCWD, path, flags | O_CLOEXEC, 0o600)
        guard number >= 0 else {
            throw .volume("cannot open \(self.path): \(unsafe String(cString: strerror(errno)))")
        }
    }

    deinit { close(number) }

    func failure(_ deed: String, _ code: Int32 = errno) -> BackupFailure {
        .volume("cannot \(deed) \(path): \(unsafe String(cString: strerror(code)))")
    }

    func status() throws(BackupFailure) -> stat {
        var status = stat()
        guard unsafe fstat(number, &status) == 0 else { throw failure("look at") }
        return status
    }

    /// Whether any program has locked any of it, as hypervisors do with the images of their guests.
    func isLocked() throws(BackupFailure) -> Bool {
        let answer = holdfast_is_locked(number)
        guard answer >= 0 else { throw failure("look for locks of") }
        return answer > 0
    }

    func byteCount() throws(BackupFailure) -> UInt64 {
        let end = lseek(number, 0, SEEK_END)
        guard end >= 0 else { throw failure("measure") }
        return UInt64(end)
    }

    /// Where the file system keeps any data, in order; all else reads zero.
    func data() throws(BackupFailure) -> [Range<UInt64>] {
        var data: [Range<UInt64>] = []
        var at: off_t = 0
        while true {
            let start = lseek(number, at, Self.seekData)
            if start < 0, errno == ENXIO { return data }
            let end = start < 0 ? -1 : lseek(number, start, Self.seekHole)
            guard start >= 0, end > start else { throw failure("look for holes in") }
            data.append(UInt64(start)..<UInt64(end))
            at = end
        }
    }

    /// Behind the volume's end there are zeros; one that ends before was cut short by somebody.
    func read(
        at offset: UInt64, count: Int, of byteCount: UInt64
    ) throws(BackupFailure) -> [UInt8] {
        var (code, isShort): (Int32, Bool) = (0, false)
        let bytes = [UInt8](capacity: count) { room in
            unsafe room.withUnsafeMutableBufferPointer { room, made in
                var got = 0
                while got < count {
                    let at = unsafe room.baseAddress.map { unsafe $0 + got }
                    let step = unsafe pread(number, at, count - got, off_t(offset) + off_t(got))
                    if step < 0, errno == EINTR { continue }
                    if step <= 0 {
                        code = step < 0 ? errno : 0
                        isShort = offset + UInt64(got) < byteCount
                        break
                    }
                    got += step
                }
                for at in got..<count { unsafe room[at] = 0 }
                made = count
            }
        }
        guard code == 0 else { throw failure("read", code) }
        guard !isShort else { throw .volume("\(path) got shorter while it was read") }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(BackupFailure) {
        var done = 0
        while done < bytes.count {
            let step = unsafe bytes.withUnsafeBytes { all in
                unsafe pwrite(
                    number, all.baseAddress.map { unsafe $0 + done }, all.count - done,
                    off_t(offset) + off_t(done))
            }
            if step < 0, errno == EINTR { continue }
            guard step > 0 else {
                let code = errno
                if [ENOSPC, EDQUOT].contains(code) { metFullDisk.withLockedValue { $0 = true } }
                throw failure("write", code)
            }
            done += step
        }
    }
}
