internal import Children
package import Mesh
package import Repository
internal import S3Protocol
package import Sealing

/// A key that a command keeps: an HSM's tool, a vault's client, a script.
///
/// It is run as `COMMAND… wrap REPOSITORY TENANT` or `… unwrap …`, gets 32 bytes or what it made of them on its standard
/// input, and says the other on its standard output. What is secret is in no word and no variable.
package struct CommandKey: KeyService {
    package static let timeoutDefault = Interval.seconds(30)
    package static let timeouts = Interval.seconds(1)...Interval.seconds(300)
    /// How a command says that something was not wrapped by its key; 0 is success, all else a failure.
    package static let wrongKeyCode: CInt = 3

    private enum Deed: String { case wrap, unwrap }

    /// Its path, and the words before ours.
    private let words: [String]
    private let timeout: Interval

    package init(_ words: [String], timeout: Interval = CommandKey.timeoutDefault) {
        precondition(words.first.map { $0.hasPrefix("/") } ?? false, "a command has a whole path")
        (self.words, self.timeout) = (words, timeout)
    }

    package var kind: Wrapping.Kind { .command }
    package var name: String { S3Problem.shown(words[0]) }
    package var identity: [String] { words }

    package func wrap(
        _ secret: Secret, for owner: RingOwner
    ) throws(UnwrapRefused) -> [UInt8] {
        let input = secret.withBytes { bytes in bytes.indices.map { bytes[$0] } }
        return try run(.wrap, input, owner)
    }

    package func unwrap(
        _ bytes: [UInt8], for owner: RingOwner
    ) throws(UnwrapRefused) -> Secret {
        let said = try run(.unwrap, bytes, owner)
        guard let secret = Secret(said) else {
            throw .service(
                "\(name) unwrap said \(said.count) bytes; a key has \(Secret.byteCount), and nothing "
                    + "behind it")
        }
        return secret
    }

    private func run(
        _ deed: Deed, _ input: [UInt8], _ owner: RingOwner
    ) throws(UnwrapRefused) -> [UInt8] {
        let ours = [deed.rawValue, owner.repository.description, owner.tenant.description]
        let child: Child
        do throws(ChildFailure) {
            child = try Child(words + ours, input: .bytes(input), within: timeout)
        } catch { throw .service("\(name): \(error.words)") }
        guard let why = Self.fault(child, deed, timeout) else { return child.said }
        if deed == .unwrap, child.outcome == .exited(Self.wrongKeyCode) { throw .wrongKey }
        throw .service("\(name) \(deed.rawValue) \(why)\(Self.firstLine(of: child.errors))")
    }

    private static func fault(_ child: Child, _ deed: Deed, _ timeout: Interval) -> String? {
        switch child.outcome {
        case .exited(0): child.said.isEmpty ? "said nothing" : nil
        case .exited(let code): "ended with code \(code)"
        case .killed(let signal): "was ended by signal \(signal)"
        case .tooLate: "had not ended after \(timeout), and was killed"
        case .tooMuch: "said more than \(Child.saidByteCountMax) bytes, and was killed"
        }
    }

    /// Its own words are shown to whoever looks for the cause, and no more than one line of them.
    private static func firstLine(of errors: [UInt8]) -> String {
        let line = errors.split(separator: UInt8(ascii: "\n")).first.map(Array.init) ?? []
        let shown = S3Problem.shown(String(decoding: line, as: UTF8.self))
        return shown.isEmpty ? "" : ": \(shown)"
    }
}
