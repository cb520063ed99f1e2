internal import Children
internal import Glibc
internal import Mesh

/// A program that says whether a restored volume is of use: the volume is its standard input, and its last word the path of that.
///
/// It is cut off from every network, so that what it starts from an image can't be taken for the machine that the image is of.
struct ImageCheck: Sendable {
    static let timeoutDefault = Interval.seconds(3_600)
    /// util-linux's, which every Debian has.
    private static let unshare = "/usr/bin/unshare"
    private static let shownCharacters = 200

    struct Report: Encodable, Equatable {
        let words: [String]
        let passed: Bool
        /// As in "ended with code 4: /dev/stdin: ********** WARNING: …".
        let outcome: String
        let seconds: Double
    }

    /// A whole path, and words behind it.
    let words: [String]
    let timeout: Interval

    private var isolated: [String] {
        let asRoot = ["--net", "--"]
        // Whoever is not root may not make a network of his own, but for a user of his own.
        return [Self.unshare]
            + (geteuid() == 0 ? asRoot : ["--user", "--map-current-user"] + asRoot)
            + words + ["/dev/stdin"]
    }

    func run(on path: String) -> Report {
        let began = ContinuousClock.now
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return report("can't be read: errno \(errno)", false, began) }
        defer { close(file) }
        do throws(ChildFailure) {
            let child = try Child(
                isolated, input: .file(file), within: timeout, excess: .isForgotten)
            return report(outcome(child), child.outcome == .exited(0), began)
        } catch { return report(error.words, false, began) }
    }

    private func report(
        _ outcome: String, _ passed: Bool, _ began: ContinuousClock.Instant
    ) -> Report {
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        return Report(words: words, passed: passed, outcome: outcome, seconds: seconds)
    }

    private func outcome(_ child: Child) -> String {
        let end =
            switch child.outcome {
            case .exited(0): "passed"
            case .exited(let code): "ended with code \(code)"
            case .killed(let signal): "was ended by signal \(signal)"
            case .tooLate: "had not ended after \(timeout), and was killed"
            case .tooMuch: "said too much"
            }
        let line = Self.firstLine(of: child.errors) ?? Self.firstLine(of: child.said)
        return child.outcome == .exited(0) ? end : end + (line.map { ": \($0)" } ?? "")
    }

    /// Of somebody else's program: without what could move a terminal's cursor.
    private static func firstLine(of bytes: [UInt8]) -> String? {
        let lines = bytes.split(separator: UInt8(ascii: "\n")).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard let line = lines.first(where: { !$0.allSatisfy(\.isWhitespace) }) else { return nil }
        let shown = line.unicodeScalars.filter { !$0.properties.isDefaultIgnorableCodePoint }
            .map { $0.properties.generalCategory == .control ? " " : String($0) }.joined()
        return String(shown.prefix(shownCharacters))
    }
}

/// Where volumes are restored for a rehearsal: a directory of its own, which no two use at once, and in which nothing stays.
final class ScratchFolder {
    static let name = "holdfast-rehearsal"
    let path: String
    private let lock: CInt

    /// Throws away what one that was killed has left.
    init(in directory: String) throws(Failure) {
        path = "\(directory)/\(Self.name)"
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw Self.failure("make", path)
        }
        lock = unsafe open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard lock >= 0 else { throw Self.failure("open", path) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw Failure(
                .refused, "another rehearsal is under way in \(path)\n  Wait for its end.")
        }
        try empty()
    }

    deinit { close(lock) }

    func empty() throws(Failure) {
        guard let entries = unsafe opendir(path) else { throw Self.failure("list", path) }
        defer { unsafe closedir(entries) }
        while let entry = unsafe readdir(entries) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            guard name != ".", name != ".." else { continue }
            guard unsafe unlinkat(lock, name, 0) == 0 else {
                throw Self.failure("remove", "\(path)/\(name)")
            }
        }
    }

    private static func failure(_ deed: String, _ path: String) -> Failure {
        Failure(.refused, "cannot \(deed) \(path): \(unsafe String(cString: strerror(errno)))")
    }
}
