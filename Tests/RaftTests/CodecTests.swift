import Mesh
import Raft
import Record
import Testing

@Suite struct `Letters on the wire` {
    private func letter(_ body: Letter.Body) -> Letter {
        Letter(from: NodeID(1), to: NodeID(2), group: Cluster.group, term: Term(3), body: body)
    }

    @Test func `every strict prefix of a letter is refused`() {
        let whole = letter(
            .append(previous: position(1, 1), commit: .zero, entries: [entry(2, 1)])
        ).encoded
        for count in 0..<whole.count {
            #expect(throws: LetterRefused.self) { try Letter(parsing: Array(whole[..<count])) }
        }
    }

    @Test func `a count beyond the bytes at hand is refused before anything is allocated`() {
        var bytes = letter(.append(previous: .zero, commit: .zero, entries: [])).encoded
        bytes.store(UInt64(UInt32.max), at: bytes.count - 4, count: 4)
        #expect(throws: LetterRefused.self) { try Letter(parsing: bytes) }
    }

    @Test func `a term or an index that leaves no room to count on is refused`() {
        let far = LogIndex(.max)
        let place = Position(index: far, term: Term(1))
        let bodies: [Letter.Body] = [
            .vote(last: place), .appended(through: far),
            .append(previous: place, commit: .zero, entries: []),
            .appendRefused(previous: far, hint: .zero),
        ]
        for body in bodies {
            #expect(throws: LetterRefused.self) { try Letter(parsing: letter(body).encoded) }
        }
        var late = letter(.timeoutNow)
        late.term = Term(.max)
        #expect(throws: LetterRefused.self) { try Letter(parsing: late.encoded) }
    }

    @Test func `what follows a letter, another version and another kind are refused`() {
        let good = letter(.timeoutNow).encoded
        #expect(throws: LetterRefused.trailing(1)) { try Letter(parsing: good + [0]) }
        var other = good
        other[0] = 9
        #expect(throws: LetterRefused.unknownVersion(9)) { try Letter(parsing: other) }
        other = good
        other[1] = 99
        #expect(throws: LetterRefused.unknownKind(99)) { try Letter(parsing: other) }
    }

    @Test func `a joint configuration needs both halves`() throws {
        let nodes = (1...6).map { NodeID($0) }
        let joint = Membership(
            voters: Electorate(data: Array(nodes[3...])),
            outgoing: Electorate(data: Array(nodes[..<3])))
        #expect(!joint.isQuorum(Array(nodes[2...])))
        #expect(joint.isQuorum([nodes[0], nodes[1], nodes[3], nodes[4]]))
        #expect(try Membership(parsing: joint.encoded) == joint)
    }
}
