/// What is left of a command line: flags, each with a value.
struct Flags {
    private var rest: [String]

    init(_ arguments: some Sequence<String>) { rest = Array(arguments) }

    /// The next flag; nil at the end.
    mutating func next() -> String? { rest.isEmpty ? nil : rest.removeFirst() }

    mutating func value(_ flag: String) throws(Options.Refused) -> String {
        guard !rest.isEmpty else { throw Options.Refused(what: "\(flag) needs a value") }
        return rest.removeFirst()
    }

    mutating func number(_ flag: String) throws(Options.Refused) -> UInt64 {
        let text = try value(flag)
        guard let number = UInt64(text) else {
            throw Options.Refused(what: "\(flag) needs a number, not \(text)")
        }
        return number
    }
}
