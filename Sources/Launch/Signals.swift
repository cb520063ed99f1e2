internal import Glibc

/// Signals as values.
package enum Signals {
    package enum Request: Hashable, Sendable {
        /// SIGTERM, SIGINT: end in an orderly way.
        case stop
        /// SIGHUP: read the certificates again.
        case reload
    }

    /// Takes the signals away from the process's threads; called before there is a second one, since
    /// a thread's mask is that of its parent.
    package static func hold() {
        var set = asked
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        // A peer that hangs up is an error of its write, not the end of this process.
        signal(SIGPIPE, SIG_IGN)
    }

    /// Calls `take` for each signal until the process ends; for the main thread, which has nothing
    /// else to do.
    package static func serve(_ take: (Request) -> Void) -> Never {
        var set = asked
        while true {
            var number: CInt = 0
            guard unsafe sigwait(&set, &number) == 0 else { continue }
            take(number == SIGHUP ? .reload : .stop)
        }
    }

    private static var asked: sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for number in [SIGTERM, SIGINT, SIGHUP] { unsafe sigaddset(&set, number) }
        return set
    }
}
