import Decisions
import Mesh
import Record
import Testing

@testable import Node

@Suite("What of the log is kept behind a checkpoint") struct CheckpointTests {
    /// Entries of 1,000 bytes.
    private static func entries(_ indexes: ClosedRange<UInt64>) -> [Entry] {
        indexes.map { index in
            let payload = [UInt8](repeating: 1, count: 1_000 - Entry.headerByteCount)
            return Draft(.write, epoch: Epoch(1), payload: payload).sealed(
                at: Position(index: LogIndex(index), term: Term(1)), group: GroupID(1), time: .zero)
        }
    }

    private static func settings() throws -> Node.Settings {
        var settings = Node.Settings(
            seat: NodeID(1), members: [], order: [],
            lease: try #require(LeaseTerms(length: .milliseconds(400))))
        settings.checkpointBytes = 10_000
        return settings
    }

    @Test(arguments: [0, 4_000, 25_000])
    func `an image is not taken before so much is applied behind it`(tail: Int) throws {
        let settings = try Self.settings()
        var checkpoints = Checkpoints()
        var taken: [(image: UInt64, at: UInt64)] = []
        for index in 1...60 as ClosedRange<UInt64> {
            if checkpoints.isDue(Self.entries(index...index), settings) {
                checkpoints.begin(Position(index: LogIndex(index), term: Term(1)), [])
                checkpoints.volumesDurable(through: LogIndex(index))
            }
            let next = checkpoints.next(keeping: tail)
            let image = checkpoints.take(upTo: LogIndex(index), keeping: tail)
            #expect(image?.position.index == next)
            if let image { taken.append((image.position.index.rawValue, index)) }
        }
        #expect(
            taken.map(\.image)
                == Array([10, 20, 30, 40, 50, 60].prefix(6 - (tail + 9_999) / 10_000)))
        #expect(taken.allSatisfy { Int($0.at - $0.image) * 1_000 == tail })
    }
}
