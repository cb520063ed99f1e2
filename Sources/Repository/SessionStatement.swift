package import Mesh

/// What is said of a session: that somebody writes to the repository, and counts on what lies there.
package struct SessionStatement: Statement {
    package static let kind = SealedHeader.Kind.session
    package static let byteCountMax = 64 << 10
    package static let textByteCountMax = 1_024

    package enum Step: Hashable, Sendable {
        /// `collection` is the newest one of which the writer knew when it began; 0 where there was none.
        case begun(writer: String, collection: UInt64, at: WallTime)
        /// It is about to put its manifest. Nobody can take that back from it.
        case commits
        /// It will put none.
        case givenUp(why: String)
        /// It ended; with the number of its manifest, or 0 for none.
        case ended(manifest: UInt64)
    }

    package let session: UInt64
    package let step: Step

    /// nil for a text that is too long.
    package init?(_ session: UInt64, _ step: Step) {
        guard step.text.utf8.count <= Self.textByteCountMax else { return nil }
        (self.session, self.step) = (session, step)
    }

    package var stage: Stage {
        switch step {
        case .begun: .begun
        case .commits, .givenUp: .decided
        case .ended: .ended
        }
    }

    package var words: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: StatementVersion.current)
        bytes.append(littleEndian: session)
        let (number, count, time): (UInt8, UInt64, WallTime) =
            switch step {
            case .begun(_, let collection, let time): (1, collection, time)
            case .commits: (2, 0, .zero)
            case .givenUp: (3, 0, .zero)
            case .ended(let manifest): (4, manifest, .zero)
            }
        bytes.append(contentsOf: [number, 0, 0, 0])
        bytes.append(littleEndian: count)
        bytes.append(name: time)
        bytes.append(text: step.text)
        return bytes
    }

    package init(parsing reader: inout ByteReader) throws {
        try StatementVersion.demand(&reader)
        let session = try reader.u64()
        let (number, rest) = (try reader.u8(), try reader.take(3))
        let count = try reader.u64()
        let time: WallTime = try reader.name()
        let text = try reader.text(atMost: Self.textByteCountMax)
        let isBare = count == 0 && time == .zero
        let step: Step? =
            switch (number, text) {
            case (1, let text?): .begun(writer: text, collection: count, at: time)
            case (2, "") where isBare: .commits
            case (3, let text?) where isBare: .givenUp(why: text)
            case (4, "") where time == .zero: .ended(manifest: count)
            default: nil
            }
        guard rest[...].isZero, let step, let statement = Self(session, step) else {
            throw ObjectDamage.contents("it says what nobody says of a session")
        }
        self = statement
    }
}

extension SessionStatement.Step {
    fileprivate var text: String {
        switch self {
        case .begun(let writer, _, _): writer
        case .givenUp(let why): why
        case .commits, .ended: ""
        }
    }
}

/// How far a session or a collection has come: each has an object for each. The second one settles, once and for all, how
/// it goes on.
package enum Stage: UInt8, Hashable, Sendable, CaseIterable {
    case begun = 1
    case decided = 2
    case ended = 3
}
