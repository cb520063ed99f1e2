internal import CSpawn
internal import Glibc

/// What a child is connected by. What is still open of it is closed with it.
struct Pipes: ~Copyable {
    /// Those of its input, of what it says, and of its errors; the one that is read first. A closed one is −1.
    private var ends: [CInt] = [-1, -1, -1, -1, -1, -1]

    init() throws(ChildFailure) {
        for at in [0, 2, 4] {
            var pair: [CInt] = [-1, -1]
            let result = unsafe holdfast_pipe(&pair)
            guard result == 0 else { throw ChildFailure("cannot make a pipe", result) }
            (ends[at], ends[at + 1]) = (pair[0], pair[1])
        }
    }

    deinit { for end in ends where end >= 0 { close(end) } }

    var said: CInt { ends[2] }
    var errors: CInt { ends[4] }
    /// The child's own ends: its standard files.
    var its: (input: CInt, output: CInt, errors: CInt) { (ends[0], ends[3], ends[5]) }

    /// Before anybody reads, while both ends are open: nothing breaks the pipe, and nobody has to wait.
    func fill(_ bytes: [UInt8]) throws(ChildFailure) {
        guard fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0 else {
            throw ChildFailure("cannot prepare a pipe", errno)
        }
        let count = unsafe bytes.withUnsafeBytes { unsafe write(ends[1], $0.baseAddress, $0.count) }
        guard count == bytes.count else {
            throw ChildFailure(
                "cannot fill a pipe with \(bytes.count) bytes", count < 0 ? errno : EAGAIN)
        }
    }

    /// And that by which it was told: it finds the end of that.
    mutating func closeItsEnds() {
        for at in [0, 1, 3, 5] where ends[at] >= 0 {
            close(ends[at])
            ends[at] = -1
        }
    }
}
