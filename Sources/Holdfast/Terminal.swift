internal import FoundationEssentials
internal import Glibc

/// What stands around this process.
enum Terminal {
    static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }
    static var inputIsTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    /// https://no-color.org: any value but the empty one switches colour off.
    static var isColoured: Bool {
        let environment = ProcessInfo.processInfo.environment
        return outputIsTerminal && (environment["NO_COLOR"] ?? "").isEmpty
            && environment["TERM"] != "dumb"
    }

    /// Whether a line can be drawn over what was there.
    static var canRedraw: Bool { ProcessInfo.processInfo.environment["TERM"] != "dumb" }

    static var size: (width: Int, height: Int)? { size(of: STDOUT_FILENO) }

    private static func size(of descriptor: CInt) -> (width: Int, height: Int)? {
        var size = winsize()
        guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return nil
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Lines are broken for a terminal alone: whoever reads a pipe reads lines.
    static var width: Int {
        outputIsTerminal ? size?.width ?? StatusScreen.widthDefault : .max
    }

    static var errorWidth: Int { size(of: STDERR_FILENO)?.width ?? StatusScreen.widthDefault }

    static var now: UInt64 { UInt64(max(0, time(nil))) }

    /// Writes all of it; a reader who has gone (`| head`) ends this process quietly, as it ends `cat`.
    static func write(_ text: String, to descriptor: CInt = STDOUT_FILENO) {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { all in
                unsafe Glibc.write(
                    descriptor, all.baseAddress?.advanced(by: done), bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            done += count
        }
    }

    static func show(_ lines: [Line]) {
        let isColoured = isColoured
        write(lines.map { $0.painted(isColoured) + "\n" }.joined())
    }

    static func complain(_ text: String) { write("holdfast: \(text)\n", to: STDERR_FILENO) }
}
