import Decisions
import Mesh
import SwiftProtobuf
import Testing

@testable import Wire

@Suite("Backups of the schedule in commands and snapshots")
struct BackupsTests {
    private static let made = BackupDuty.Made(
        number: 7, node: NodeID(2), asOf: WallTime(90), isFull: true)

    @Test(
        arguments: [
            .claimed(slot: WallTime(80), isFull: true, by: NodeID(2), over: LogIndex(4)),
            .claimed(slot: WallTime(80), isFull: false, by: NodeID(1), over: nil),
            .renewed(claim: LogIndex(5)), .mark, .made(made, claim: LogIndex(5)),
            .made(made, claim: nil),
            .failed(claim: LogIndex(5), words: "kein Platz für 3 €"),
        ] as [BackupNews])
    func `what is said of backups is read back as it was`(news: BackupNews) throws {
        let command = Command.backup(news)
        #expect(try Command(parsing: command.encoded(request: 9)) == command)
    }

    @Test func `words beyond their bound, and a backup without what it is, are refused`() {
        let words = String(repeating: "w", count: BackupDuty.failureBytesMax + 1)
        #expect(throws: PayloadRefused.unlawful(field: "words", value: "of 401 bytes")) {
            try Command(parsing: Command.backup(.failed(claim: LogIndex(1), words: words)).encoded)
        }
        let payload = CommandPayload.with { $0.madeBackup.claim = 3 }
        #expect(throws: PayloadRefused.missing(field: "made")) {
            try Command(parsing: payload.wireBytes)
        }
    }

    /// With a claim, a failure and a backup.
    private func image() throws -> DecisionsImage {
        var decisions = Decisions(seats: [
            .init(node: NodeID(2), region: try #require(RegionName("east")))
        ])
        let news: [BackupNews] = [
            .made(Self.made, claim: nil),
            .claimed(slot: WallTime(95), isFull: false, by: NodeID(2), over: nil),
            .claimed(slot: WallTime(95), isFull: false, by: NodeID(2), over: LogIndex(3)),
        ]
        for command in [.raiseLevel(.backups)] + news.map({ Command.backup($0) }) {
            _ = decisions.apply(
                .init(
                    index: decisions.appliedIndex.next, epoch: .zero, time: WallTime(100),
                    deed: .command(command)))
        }
        let duty = decisions.backups
        #expect(duty.claim != nil && duty.failure != nil && duty.newest != nil)
        #expect(try Decisions(parsing: decisions.encoded) == decisions)
        return try DecisionsImage(serializedBytes: decisions.encoded)
    }

    @Test func `a snapshot keeps what is known of backups, and one without any says nothing`()
        throws
    {
        _ = try image()
        let none = try DecisionsImage(serializedBytes: Decisions(seats: []).encoded)
        #expect(none.backups.isEmpty)
    }

    @Test func `what no decisions come to is refused`() throws {
        typealias Wound = (inout DecisionsImage) -> Void
        let wounds: [(String, Wound)] = [
            ("backups", { $0.backups.append(BackupsImage()) }),
            ("backups", { $0.backups[0].claim.append($0.backups[0].claim[0]) }),
            ("claim.renewal", { $0.backups[0].claim[0].renewal = 99 }),
            ("claim.renewal", { $0.backups[0].claim[0].since = 0 }),
            ("claim.slot", { $0.backups[0].claim[0].slot = 94 }),
            ("attempts", { $0.backups[0].attempts = 4 }),
            ("attempts", { $0.backups[0].attempted = 0 }),
            ("failures", { $0.backups[0].failures = 0 }),
            ("failures", { $0.backups[0].failures = .max }),
            ("words", { $0.backups[0].failure[0].words = String(repeating: "w", count: 401) }),
        ]
        for (field, wound) in wounds {
            var image = try image()
            wound(&image)
            let refusal = #expect(throws: PayloadRefused.self) {
                try Decisions(parsing: image.wireBytes)
            }
            #expect("\(String(describing: refusal))".contains(field), "\(field)")
        }
        var early = try image()
        (early.level, early.members) = (0, [early.members[0]])
        #expect(
            throws: PayloadRefused.unlawful(field: "backups", value: "below their feature level")
        ) {
            try Decisions(parsing: early.wireBytes)
        }
    }
}
