package import Mesh
internal import Yams

/// A provider file: who keeps a key that is in no file of ours, and how it is asked.
package struct KeySettings: Hashable, Sendable {
    /// 32 hexadecimal digits.
    package struct Identifier: Hashable, Sendable {
        package let high: UInt64
        package let low: UInt64
    }

    /// Whose backups it opens.
    package struct Owner: Hashable, Sendable {
        package let repository: Identifier
        package let tenant: Identifier
    }

    package enum Provider: Hashable, Sendable {
        /// A whole path, and words behind it.
        case command([String])
        case kms(KMSSettings)
    }

    package static let timeoutMin = Interval.seconds(1)
    package static let timeoutMax = Interval.seconds(300)
    static let wordsMax = 64

    package let provider: Provider
    /// nil where the file does not say: it may be older than the repository.
    package let owner: Owner?
    /// How long one answer is waited for; nil is the provider's usual time.
    package let timeout: Interval?

    /// Whether a key's file is meant to be one, lawful or not.
    package static func isProvider(_ text: String) -> Bool {
        text.split(whereSeparator: \.isNewline).contains { line in
            ["command:", "kms:"].contains { line.hasPrefix($0) }
        }
    }

    package init(parsing text: String, file: String) throws(Faults) {
        var section = try Section(document: text, file: file)
        let provider = Self.provider(&section, file)
        let owner = Self.owner(&section)
        let timeout = section.optional(
            "timeout", expected: "a duration of \(Self.timeoutMin) to \(Self.timeoutMax)"
        ) { text in
            Interval(duration: text).flatMap {
                (Self.timeoutMin...Self.timeoutMax).contains($0) ? $0 : nil
            }
        }
        let faults = section.finish()
        guard faults.isEmpty, let provider else { throw Faults(all: faults) }
        (self.provider, self.owner, self.timeout) = (provider, owner, timeout?.value)
    }

    private static func provider(_ section: inout Section, _ file: String) -> Provider? {
        guard let kms = section.node("kms") else { return command(&section).map(Provider.command) }
        if let command = section.node("command") {
            section.report(
                command.key, line: command.line, "is given besides \(kms.key); which of them is it?"
            )
        }
        return KMSSettings(&section, beside: file).map(Provider.kms)
    }

    private static func command(_ section: inout Section) -> [String]? {
        let expected = "a list of a program's whole path and its words, such as [/usr/bin/tool, -q]"
        let words = section.list("command", required: true)
        guard let first = words.first else { return nil }
        var read: [String] = []
        for word in words {
            guard case .scalar(let scalar) = word.value, !scalar.string.utf8.contains(0) else {
                section.report(word.key, line: word.line, "expected \(expected)")
                return nil
            }
            read.append(scalar.string)
        }
        guard read[0].hasPrefix("/"), read.count <= wordsMax else {
            section.report(
                first.key, line: first.line,
                "expected \(expected), found \(read[0].debugDescription)")
            return nil
        }
        return read
    }

    private static func owner(_ section: inout Section) -> Owner? {
        let expected = "32 hexadecimal digits, as `holdfast repository show` gives them"
        func read(_ text: String) -> Identifier? {
            Hexadecimal.words(text).map { Identifier(high: $0.high, low: $0.low) }
        }
        let repository = section.optional("repository", expected: expected, parse: read)
        let tenant = section.optional("tenant", expected: expected, parse: read)
        if let one = repository ?? tenant, (repository == nil) != (tenant == nil) {
            section.report(
                one.key, line: one.line, "repository and tenant are given together, or neither is")
        }
        guard let repository, let tenant else { return nil }
        return Owner(repository: repository.value, tenant: tenant.value)
    }
}
