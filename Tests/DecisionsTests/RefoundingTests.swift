import Decisions
import Mesh
import Testing

@Suite("A new mesh that goes on with what another had decided (ADR 17)") struct RefoundingTests {
    private static let seats = [
        Decisions.Seat(node: NodeID(12), region: west),
        Decisions.Seat(node: NodeID(11), region: east),
    ]

    /// Two volumes, one deleted; a primary that reigns, a session, a wish, a claim.
    private static func old() -> Decisions {
        var old = Decisions.pair
        _ = old.next(.command(.raiseLevel(.backups)))
        _ = old.promote(1, 1, .firstPrimary)
        for name in ["a", "b", "c"] {
            _ = old.next(
                .command(.createVolume(name: name, byteCount: 1 << 20, durability: .async)),
                session: 9, sequence: UInt64(old.volumes.count + 1))
        }
        _ = old.next(.command(.deleteVolume(VolumeID(2))))
        _ = old.next(.command(.prefer(east)))
        let witness = Newcomer(node: NodeID(3), region: west, isWitness: true)
        _ = old.next(.command(.changeMembers(.add(witness))))
        _ = old.next(
            .command(
                .backup(
                    .claimed(slot: .zero, isFull: false, by: NodeID(1), over: nil))))
        return old
    }

    private static func new(_ old: Decisions) -> Decisions {
        old.refounded(by: seats, first: NodeID(11), witness: nil, epoch: Epoch(2_000_000))
    }

    @Test func `volumes keep ids, names and modes, and no id comes twice`() {
        let old = Self.old()
        var new = Self.new(old)
        #expect(new.volumes == old.volumes && new.volumes.map(\.name) == ["a", "c"])
        #expect(new.appliedIndex == old.appliedIndex && new.level == old.level)
        _ = new.next(
            .command(.createVolume(name: "d", byteCount: 1 << 20, durability: .sync)))
        #expect(new.volumes.last?.id == VolumeID(4))
    }

    @Test func `nobody of the old mesh is left in it`() {
        let new = Self.new(Self.old())
        #expect(new.seats.map(\.node) == [NodeID(11), NodeID(12)])
        #expect(new.lastSequence(of: SessionID(9)) == 0 && new.wish == nil)
        #expect(new.former.isEmpty && new.learners.isEmpty && new.backups.claim == nil)
        #expect(!new.isMember(NodeID(1)) && new.tenure.primary?.node == NodeID(11))
    }

    @Test func `the first primary waits for nobody's lease, and shows an epoch of the new mesh`() {
        var new = Self.new(Self.old())
        let began = new.appliedIndex
        let stale = new.promote(12, 2, .relinquished(at: began))
        #expect(stale.refusal == .staleEpoch(current: Epoch(2_000_000), offered: Epoch(2)))
        let first = new.promote(12, 2_000_001, .relinquished(at: began))
        #expect(first.refusal == nil && new.tenure.primary?.node == NodeID(12))
    }

    @Test func `a region that the new mesh has not is preferred no more`() {
        let one = [Decisions.Seat(node: NodeID(12), region: west)]
        let old = Self.old()
        #expect(Self.new(old).preferred == east)
        let new = old.refounded(by: one, first: NodeID(12), witness: nil, epoch: Epoch(7))
        #expect(old.preferred == east && new.preferred == nil)
    }

    @Test(
        arguments: [
            (0, 2_000_000), (1, 2_000_000), (999_999, 2_000_000), (2_000_000, 4_000_000),
            (2_000_007, 4_000_000),
        ] as [(UInt64, UInt64)])
    func `the new epochs are a million or more above all that was seen`(
        seen: UInt64, next: UInt64
    ) {
        #expect(Decisions.refoundingEpoch(above: Epoch(seen)) == Epoch(next))
        #expect(next - seen >= Decisions.epochsApart)
    }

    @Test func `epochs end where no write could show them`() {
        #expect(Decisions.refoundingEpoch(above: Decisions.epochBefore) == nil)
        let last = Decisions.refoundingEpoch(above: Epoch(Decisions.epochBefore.rawValue - 1))
        #expect(last.map { $0.rawValue < UInt64(UInt32.max) } == true)
    }
}
