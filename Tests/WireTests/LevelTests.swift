import Decisions
import Mesh
import SwiftProtobuf
import Testing

@testable import Wire

@Suite("The feature level in commands and snapshots")
struct LevelTests {
    private func raised() -> Decisions {
        var decisions = Decisions(seats: [])
        _ = decisions.apply(
            .init(index: LogIndex(1), epoch: .zero, deed: .command(.raiseLevel(.spoken))))
        return decisions
    }

    @Test func `a raise is read back as it was, and one to no level is refused`() throws {
        let raise = Command.raiseLevel(.spoken)
        #expect(try Command(parsing: raise.encoded) == raise)
        for level in [0, 256] as [UInt64] {
            let payload = CommandPayload.with { $0.raiseLevel.level = level }
            #expect(throws: PayloadRefused.unlawful(field: "level", value: "\(level)")) {
                try Command(parsing: payload.wireBytes)
            }
        }
    }

    @Test func `a snapshot keeps the level, and one of the first release stands for the first`()
        throws
    {
        #expect(try Decisions(parsing: raised().encoded).level == .spoken)
        let first = try DecisionsImage(serializedBytes: Decisions(seats: []).encoded)
        #expect(first.level == 0 && first.members.count == 1)
        #expect(try Decisions(parsing: first.wireBytes).level == .first)
    }

    /// Releases that know of no levels pass over the field, and would go on with the level forgotten; of
    /// two memberships they refuse the snapshot (`make upgrade` shows it with one).
    @Test func `a snapshot with a level is barred to releases that know of none`() throws {
        var image = try DecisionsImage(serializedBytes: raised().encoded)
        #expect(image.members.count == 2 && image.members[1] == MembersImage())
        image.members.removeLast()
        #expect(throws: PayloadRefused.unlawful(field: "level", value: "2")) {
            try Decisions(parsing: image.wireBytes)
        }
        image.members.append(MembersImage.with { $0.former = [9] })
        #expect(throws: PayloadRefused.unlawful(field: "members", value: "given twice")) {
            try Decisions(parsing: image.wireBytes)
        }
        (image.members[1], image.level) = (MembersImage(), 1)
        #expect(throws: PayloadRefused.unlawful(field: "level", value: "1")) {
            try Decisions(parsing: image.wireBytes)
        }
    }
}
