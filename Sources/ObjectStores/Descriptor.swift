internal import Glibc

/// An open file or directory.
struct Descriptor: ~Copyable {
    let number: CInt

    /// nil, and `errno`, where it can't be opened. Nothing is waited for: what lies there may be a pipe.
    init?(_ path: String, in directory: CInt = AT_FDCWD, _ flags: CInt, mode: mode_t = 0) {
        var number: CInt = -1
        repeat {
            number = unsafe openat(directory, path, flags | O_CLOEXEC | O_NONBLOCK, mode)
        } while number < 0 && errno == EINTR
        guard number >= 0 else { return nil }
        self.number = number
    }

    /// False, and `errno`, unless what was written would survive a power cut.
    borrowing func sync() -> Bool {
        while fsync(number) != 0 {
            guard errno == EINTR else { return false }
        }
        return true
    }

    deinit { _ = close(number) }
}
