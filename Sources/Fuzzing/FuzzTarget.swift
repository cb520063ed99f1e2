/// One decoder, or one family of them, under bytes that an enemy, a rotten disk or a slip of the hand
/// might give it.
package struct FuzzTarget: Sendable {
    package let name: String
    /// What is longer finds nothing that a shorter input doesn't, and costs more.
    package let byteCountMax: Int
    private let seeding: @Sendable () throws -> [[UInt8]]
    private let body: @Sendable ([UInt8]) throws -> Verdict

    init(
        _ name: String, byteCountMax: Int, seeds: @escaping @Sendable () throws -> [[UInt8]],
        body: @escaping @Sendable ([UInt8]) throws -> Verdict
    ) {
        self.name = name
        self.byteCountMax = byteCountMax
        seeding = seeds
        self.body = body
    }

    /// What our own encoders write: from here the mutations begin.
    package func seeds() throws -> [[UInt8]] { try seeding() }

    /// Decodes `bytes`, and holds what comes of them to the target's promises.
    package func take(_ bytes: [UInt8]) throws -> Verdict { try body(bytes) }

    package static let all: [FuzzTarget] =
        [letters, talk, resyncs, mends, files, decisions, nbd, texts, admin, repository]
        .flatMap { $0 }

    package static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// What a decoder said to the bytes. Both are lawful; a test asks that seeds are accepted.
package enum Verdict: Hashable, Sendable {
    case accepted
    case refused
}

/// A decoder, or what goes on from it, did not do what it promises.
package struct Broken: Error, Hashable, Sendable, CustomStringConvertible {
    package let promise: String
    package var description: String { "broken promise: \(promise)" }
}

func promise(_ holds: Bool, _ words: @autoclosure () -> String) throws(Broken) {
    guard holds else { throw Broken(promise: words()) }
}
