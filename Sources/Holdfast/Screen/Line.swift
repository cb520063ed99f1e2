/// One line for a person, and how it is meant. Colour only repeats what the words say.
struct Line: Hashable, Sendable {
    enum Tone: Hashable, Sendable {
        case plain, heading, good, warning, bad, faint
    }
    var text: String
    var tone: Tone

    init(_ text: String, _ tone: Tone = .plain) {
        self.text = text
        self.tone = tone
    }

    /// With the terminal's codes (ECMA-48 §8.3.117) where colour is wanted.
    func painted(_ isColoured: Bool) -> String {
        guard isColoured, let code else { return text }
        return "\u{1b}[\(code)m\(text)\u{1b}[0m"
    }

    private var code: String? {
        switch tone {
        case .plain: nil
        case .heading: "1"
        case .good: "32"
        case .warning: "33"
        case .bad: "1;31"
        case .faint: "2"
        }
    }
}

extension String {
    /// Cut to `width` characters, with an ellipsis where something was cut.
    func clipped(to width: Int) -> String {
        count <= width ? self : String(prefix(max(width - 1, 0))) + "…"
    }

    /// Broken between words into lines of at most `width` characters, all but the first indented. A
    /// no-break space holds a number and its unit together, and is written as a space.
    func wrapped(to width: Int, indent: Int = 0) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = String(repeating: " ", count: indent) + word
            } else {
                line += line.isEmpty || line.allSatisfy({ $0 == " " }) ? word : " " + word
            }
        }
        return (lines + [line]).map { line in
            line.replacing("\u{a0}", with: " ").clipped(to: width)
        }
    }
}
