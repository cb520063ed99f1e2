import Mesh
import Node
import Testing

@Suite("What one node asks of another")
struct NoteTests {
    private let faro = RegionName("faro") ?? { preconditionFailure("a lawful name") }()

    @Test(arguments: [0, 1, 2, 3])
    func `a long reason ends with a whole character, and is read as it was sent`(shift: Int) throws
    {
        let reason = String(repeating: "x", count: shift) + String(repeating: "ü€😀", count: 200)
        let note = Note.declined(faro, reason: reason)
        let read = try Note(parsing: note.encoded)
        guard case .declined(faro, let short) = read else {
            Issue.record("\(read)")
            return
        }
        #expect(reason.hasPrefix(short))
        #expect((Note.reasonBytesMax - 3...Note.reasonBytesMax).contains(short.utf8.count))
        #expect(read.encoded == note.encoded)
    }

    @Test func `what follows a note refuses it`() {
        let note = Note.handOver(faro)
        #expect(throws: Note.Refused.trailing(2)) { try Note(parsing: note.encoded + [1, 2]) }
        #expect(throws: Note.Refused.trailing(1)) { try Note(parsing: Note.former.encoded + [0]) }
    }

    @Test func `a reason that no release sends is refused`() {
        let head = Note.declined(faro, reason: "").encoded
        #expect(throws: Note.Refused.reason) { try Note(parsing: head + [0xff]) }
        let long = [UInt8](repeating: 0x78, count: Note.reasonBytesMax + 1)
        #expect(throws: Note.Refused.reason) { try Note(parsing: head + long) }
    }
}
