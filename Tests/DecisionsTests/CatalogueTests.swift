import Decisions
import Mesh
import Testing

@Suite("Volumes and sessions")
struct CatalogueTests {
    private func create(_ name: String, _ byteCount: UInt64 = 1 << 20) -> Decisions.Deed {
        .command(.createVolume(name: name, byteCount: byteCount, durability: .sync))
    }

    @Test func `a volume's id is never used again`() {
        var decisions = Decisions.pair
        _ = decisions.next(create("a"))
        #expect(decisions.next(.command(.deleteVolume(VolumeID(1)))).refusal == nil)
        _ = decisions.next(create("a"))
        #expect(decisions.volumes.map(\.id) == [VolumeID(2)])
        #expect(
            decisions.next(.command(.deleteVolume(VolumeID(1)))).refusal
                == .volumeUnknown(VolumeID(1)))
    }

    @Test func `a name stands for one volume`() {
        var decisions = Decisions.pair
        _ = decisions.next(create("a"))
        #expect(decisions.next(create("a")).refusal == .volumeExists("a"))
    }

    @Test(arguments: ["", "..", "a/b", "-a", "A", "a b", "é", String(repeating: "a", count: 64)])
    func `a name that a path could be made of is refused`(name: String) {
        var decisions = Decisions.pair
        #expect(decisions.next(create(name)).refusal == .volumeName(name))
    }

    @Test(arguments: [0, 1, 4_095, 4_097, (1 << 46) + 4_096, .max] as [UInt64])
    func `a size off the grain or the limits is refused`(byteCount: UInt64) {
        var decisions = Decisions.pair
        #expect(decisions.next(create("a", byteCount)).refusal == .volumeByteCount(byteCount))
    }

    @Test func `a volume gets longer, and never shorter`() {
        var decisions = Decisions.pair
        func grow(_ id: UInt64, _ byteCount: UInt64) -> Decisions.Deed {
            .command(.growVolume(VolumeID(id), byteCount: byteCount))
        }
        _ = decisions.next(create("a", 8_192))
        #expect(
            decisions.next(grow(1, 16_384)).refusal
                == .levelTooLow(mesh: .first, needed: .growth))
        _ = decisions.next(.command(.raiseLevel(.growth)))
        let longer = Volume(id: VolumeID(1), name: "a", byteCount: 16_384, durability: .sync)
        #expect(decisions.next(grow(1, 16_384)) == .grown(longer))
        // Asked again by who got no answer.
        #expect(decisions.next(grow(1, 16_384)) == .grown(longer))
        #expect(
            decisions.next(grow(1, 8_192)).refusal
                == .volumeShrinks(name: "a", from: 16_384, to: 8_192))
        #expect(decisions.next(grow(1, 16_385)).refusal == .volumeByteCount(16_385))
        #expect(decisions.next(grow(2, 16_384)).refusal == .volumeUnknown(VolumeID(2)))
        #expect(decisions.volumes == [longer])
    }

    @Test func `the catalogue is bounded`() {
        var decisions = Decisions.pair
        for i in 0..<Decisions.volumesMax { _ = decisions.next(create("v\(i)")) }
        #expect(
            decisions.next(create("more")).refusal == .tooManyVolumes(limit: Decisions.volumesMax))
    }

    @Test func `a retried proposal applies once`() {
        var decisions = Decisions.pair
        #expect(decisions.next(create("a"), session: 7, sequence: 1).refusal == nil)
        #expect(
            decisions.next(.command(.deleteVolume(VolumeID(1))), session: 7, sequence: 2).refusal
                == nil)
        #expect(
            decisions.next(create("a"), session: 7, sequence: 1).refusal
                == .duplicate(session: SessionID(7), sequence: 1))
        #expect(decisions.volumes.isEmpty)
    }

    @Test func `a session never leaps over a number`() {
        var decisions = Decisions.pair
        #expect(
            decisions.next(create("a"), session: 7, sequence: 2).refusal
                == .gap(session: SessionID(7), expected: 1, offered: 2))
        #expect(decisions.next(create("a"), session: 7, sequence: 1).refusal == nil)
    }

    @Test func `sessions are bounded`() {
        var decisions = Decisions.pair
        for i in 0..<UInt64(Decisions.sessionsMax) {
            _ = decisions.next(.blank, session: i + 1, sequence: 1)
        }
        #expect(
            decisions.next(.blank, session: .max, sequence: 1).refusal
                == .tooManySessions(limit: Decisions.sessionsMax))
        #expect(decisions.next(.blank, session: 1, sequence: 2).refusal == nil)
    }

    @Test func `equal logs give equal decisions`() {
        func history(_ seed: UInt64) -> Decisions {
            var random = SeededRandom(seed: seed)
            var decisions = Decisions.pair
            for _ in 0..<300 {
                let epoch = decisions.tenure.epoch
                let renewal = LogIndex(random.next() % (decisions.appliedIndex.rawValue + 1))
                let deed: Decisions.Deed =
                    switch random.next() % 5 {
                    case 0:
                        .command(
                            .promote(
                                node: NodeID(1 + random.next() % 2), epoch: epoch.next,
                                warrant: epoch == .zero
                                    ? .firstPrimary : .leaseEnded(renewal: renewal))
                        )
                    case 1: create("v\(random.next() % 8)")
                    case 2: .command(.deleteVolume(VolumeID(random.next() % 8)))
                    default: .record
                    }
                _ = decisions.next(
                    deed, epoch: epoch.rawValue, session: random.next() % 4,
                    sequence: random.next() % 20)
            }
            return decisions
        }
        for seed in 0..<20 as Range<UInt64> { #expect(history(seed) == history(seed)) }
    }
}
