internal import CSpawn
internal import Glibc
package import Mesh

/// One run of a program with something on its standard input: what it said, and how it ended. It always ends.
package struct Child: Sendable {
    /// What it is given on its standard input.
    package enum Input: Sendable {
        case bytes([UInt8])
        /// An open file of ours, which stays ours.
        case file(CInt)
    }

    /// Whether one that says too much on its standard output is of no use.
    package enum Excess: Sendable {
        case ends
        /// What comes behind is read and forgotten.
        case isForgotten
    }

    /// Bytes of standard output that are kept.
    package static let saidByteCountMax = 8 << 10
    /// Bytes of standard error that are kept; what comes after these is read and forgotten.
    package static let errorsByteCountMax = 4 << 10
    /// All that it finds in its environment.
    private static let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]

    /// How long a killed one may take to be gone.
    private static let dyingMax = Interval.seconds(5)

    package enum Outcome: Hashable, Sendable {
        case exited(CInt)
        case killed(signal: CInt)
        case tooLate
        case tooMuch
    }

    package private(set) var said: [UInt8] = []
    package private(set) var errors: [UInt8] = []
    package private(set) var outcome = Outcome.tooLate
    private let excess: Excess

    /// `arguments` begin with the program's path. Blocks until it has ended, or was ended with its process group.
    package init(
        _ arguments: [String], input: Input, within limit: Interval, excess: Excess = .ends
    ) throws(ChildFailure) {
        self.excess = excess
        let deadline = Self.now + limit
        var pipes = try Pipes()
        var file: CInt?
        switch input {
        case .bytes(let bytes): try pipes.fill(bytes)
        case .file(let number): file = number
        }
        let id = try Self.spawn(arguments, pipes, file)
        pipes.closeItsEnds()
        let isRead = read(pipes, until: deadline)
        let hasEnded = isRead && Self.awaitEnd(of: id, until: deadline)
        // Before it is reaped: until then nobody else can have its number, or its group's.
        kill(-id, SIGKILL)
        // One that became somebody else's may not be killed by us: it is left behind rather than waited for.
        guard Self.awaitEnd(of: id, until: Self.now + Self.dyingMax) else { return }
        let status = Self.reap(id)
        guard outcome != .tooMuch, hasEnded else { return }
        let signal = status & 0x7f
        outcome = signal == 0 ? .exited(status >> 8 & 0xff) : .killed(signal: signal)
    }

    /// Until both are at their end. False where it took too long or said too much.
    private mutating func read(_ pipes: borrowing Pipes, until deadline: Instant) -> Bool {
        var open = [pipes.said, pipes.errors]
        while !open.isEmpty {
            let now = Self.now
            guard now < deadline else { return false }
            var polled = open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            let milliseconds = deadline.since(now).nanoseconds / 1_000_000 + 1
            let count = unsafe poll(
                &polled, nfds_t(polled.count), CInt(min(milliseconds, 1_000)))
            guard count > 0 else { continue }
            for each in polled where each.revents != 0 {
                let bytes = Self.some(of: each.fd)
                if bytes.isEmpty { open.removeAll { $0 == each.fd } }
                if each.fd == pipes.said { said += bytes } else { errors += bytes }
                errors = Array(errors.prefix(Self.errorsByteCountMax))
            }
            guard said.count > Self.saidByteCountMax else { continue }
            said.removeLast(said.count - Self.saidByteCountMax)
            if excess == .ends {
                outcome = .tooMuch
                return false
            }
        }
        return true
    }

    private static func some(of file: CInt) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 4 << 10) { room, count in
            var step = 0
            repeat {
                step = unsafe Glibc.read(file, room.baseAddress, room.count)
            } while step < 0 && errno == EINTR
            count = max(step, 0)
        }
    }

    private static var now: Instant {
        var time = timespec()
        let result = unsafe clock_gettime(CLOCK_BOOTTIME, &time)
        invariant(result == 0, "the clock can't be read: errno \(errno)")
        return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}

extension Child {
    /// Not through a shell, in a process group of its own, with nothing open but what it is given.
    private static func spawn(
        _ arguments: [String], _ pipes: borrowing Pipes, _ file: CInt?
    ) throws(ChildFailure) -> pid_t {
        var id = pid_t()
        let result = unsafe withStrings(arguments) { words in
            unsafe withStrings(environment) { environment in
                unsafe holdfast_spawn(
                    words, environment, file ?? pipes.its.input, pipes.its.output, pipes.its.errors,
                    &id)
            }
        }
        guard result == 0 else { throw ChildFailure("cannot start", result) }
        return id
    }

    private static func withStrings<R>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
    ) -> R {
        var copies = unsafe strings.map { unsafe strdup($0) } + [nil]
        defer { for at in unsafe copies.indices { unsafe free(copies[at]) } }
        return unsafe copies.withUnsafeMutableBufferPointer { copies in
            guard let first = copies.baseAddress else { preconditionFailure("never empty") }
            return unsafe body(first)
        }
    }

    /// Leaves it to be reaped. False where it has not ended by then.
    private static func awaitEnd(of id: pid_t, until deadline: Instant) -> Bool {
        repeat {
            var told = unsafe siginfo_t()
            let result = unsafe waitid(P_PID, id_t(id), &told, WEXITED | WNOHANG | WNOWAIT)
            if result == 0, unsafe told.si_signo != 0 { return true }
            if result != 0, errno != EINTR { return false }
            usleep(pauseMicroseconds)
        } while now < deadline
        return false
    }
    /// It has closed what it says by then: it ends at once, as a rule.
    private static let pauseMicroseconds: UInt32 = 2_000

    private static func reap(_ id: pid_t) -> CInt {
        var status: CInt = 0
        while unsafe waitpid(id, &status, 0) < 0, errno == EINTR {}
        return status
    }
}

/// Why a program did not run.
package struct ChildFailure: Error {
    package let words: String
    init(_ deed: String, _ code: CInt) {
        words = "\(deed): \(unsafe String(cString: strerror(code)))"
    }
}
