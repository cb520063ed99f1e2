internal import Admin
internal import Control
internal import Glibc

/// The status over and over: drawn in place on a terminal, a line at each change elsewhere.
struct Watch: Sendable {
    static let every = Duration.seconds(1)
    /// Another screen, no cursor; and back (xterm control sequences, DEC private modes 1049 and 25).
    private static let begin = "\u{1b}[?1049h\u{1b}[?25l"
    static let endText: StaticString = "\u{1b}[?25h\u{1b}[?1049l"

    let client: AdminClient

    func run() async {
        if Terminal.outputIsTerminal {
            await draw()
        } else {
            await log()
        }
    }

    private func draw() async {
        restoreAtInterrupt()
        Terminal.write(Self.begin)
        let isColoured = Terminal.isColoured
        while !Task.isCancelled {
            let size = Terminal.size
            let lines = lines(
                await answer(), width: size?.width ?? StatusScreen.widthDefault,
                height: size?.height ?? StatusScreen.heightDefault)
            // Cleared line by line as it is overwritten: clearing all first would flicker.
            let text = lines.map { $0.painted(isColoured) + "\u{1b}[K" }.joined(separator: "\n")
            Terminal.write("\u{1b}[H" + text + "\u{1b}[J")
            try? await Task.sleep(for: Self.every)
        }
    }

    private func log() async {
        var last = ""
        while !Task.isCancelled {
            let text =
                switch await answer() {
                case .success(let report): Verdict(of: report).text
                case .failure(let failed): "UNREACHABLE: " + Failure(failed).text.firstLine
                }
            if text != last {
                Terminal.write("\(Words.time(unixSeconds: Terminal.now)) \(text)\n")
                last = text
            }
            try? await Task.sleep(for: Self.every)
        }
    }

    private func answer() async -> Result<StatusReport, AskFailed> {
        do throws(AskFailed) {
            return .success(try await client.ask(.status, for: StatusReport.self))
        } catch {
            return .failure(error)
        }
    }

    private func lines(
        _ answer: Result<StatusReport, AskFailed>, width: Int, height: Int
    ) -> [Line] {
        switch answer {
        case .success(let report):
            return StatusScreen(report, now: Terminal.now, width: width, height: height).lines
        case .failure(let failed):
            let time = Words.time(unixSeconds: Terminal.now)
            let text = "UNREACHABLE: " + Failure(failed).text.firstLine
            return text.wrapped(to: width, indent: 2).map { Line($0, .bad) } + [Line(time, .faint)]
        }
    }
}

/// Whoever interrupts gets his screen back. Only async-signal-safe calls are made (signal-safety(7)).
private func restoreAtInterrupt() {
    let restore: @convention(c) (CInt) -> Void = { number in
        let text = Watch.endText
        _ = unsafe Glibc.write(STDOUT_FILENO, text.utf8Start, text.utf8CodeUnitCount)
        _exit(128 + number)
    }
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, restore) }
}

extension String {
    var firstLine: String { String(prefix { !$0.isNewline }) }
}
