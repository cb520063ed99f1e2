import Decisions
import Mesh
import Testing
import Wire

private let east = RegionName("us-east-1") ?? { preconditionFailure("a lawful name") }()
private let west = RegionName("us-west-2") ?? { preconditionFailure("a lawful name") }()

@Suite("Commands and snapshots as bytes")
struct CodecTests {
    static let commands: [Command] = [
        .promote(node: NodeID(1), epoch: Epoch(1), warrant: .firstPrimary),
        .promote(node: NodeID(2), epoch: Epoch(2), warrant: .leaseEnded(renewal: LogIndex(0))),
        .promote(node: NodeID(.max), epoch: Epoch(.max), warrant: .relinquished(at: LogIndex(9))),
        .relinquish(epoch: Epoch(3)),
        .createVolume(name: "disk1", byteCount: 1 << 30, durability: .sync),
        .createVolume(name: "disk2", byteCount: 4_096, durability: .async),
        .deleteVolume(VolumeID(1)), .growVolume(VolumeID(7), byteCount: 1 << 42),
        .prefer(west),
        .changeMembers(.add(Newcomer(node: NodeID(4), region: west))),
        .changeMembers(.remove(NodeID(2))),
        .changeMembers(
            .replace(NodeID(3), with: Newcomer(node: NodeID(5), region: east, isWitness: true))),
        .cancelMembers,
    ]

    @Test(arguments: commands)
    func `a command is read as it was written`(command: Command) throws {
        #expect(try Command(parsing: command.encoded) == command)
    }

    @Test func `no prefix of a command is taken for another`() {
        for command in Self.commands {
            for count in 0..<command.encoded.count {
                let read = try? Command(parsing: command.encoded.prefix(count))
                #expect(read != command)
            }
        }
    }

    @Test func `a newer version's command is told from damage`() {
        // Field 99, length-delimited, empty: lawful bytes of a command that this version lacks.
        #expect(throws: PayloadRefused.unknownCommand) { try Command(parsing: [0x9a, 0x06, 0x00]) }
        #expect(throws: PayloadRefused.undecodable) { try Command(parsing: [0xff]) }
    }

    @Test func `a promotion without a warrant is refused`() {
        let bare: [UInt8] = [0x0a, 0x04, 0x08, 0x01, 0x10, 0x01]
        #expect(throws: PayloadRefused.missing(field: "warrant")) { try Command(parsing: bare) }
    }

    @Test func `an oversized command is refused before it is decoded`() {
        let bytes = [UInt8](repeating: 0, count: Command.byteCountMax + 1)
        #expect(
            throws: PayloadRefused.oversized(
                byteCount: bytes.count, limit: Command.byteCountMax)
        ) { try Command(parsing: bytes) }
    }

    /// A wish, or an entry of the leader's on its way to fulfil one.
    private func members(
        _ random: inout SeededRandom, _ decisions: Decisions
    ) -> Decisions.Deed {
        let data = decisions.seats.map(\.node)
        let coming = decisions.wish?.change.coming
        switch random.next() % 4 {
        case 0:
            let fresh = Newcomer(
                node: NodeID(random.next() % 40 + 1), region: west,
                isWitness: random.chance(1, in: 4))
            let member = data[Int(random.next() % UInt64(data.count))]
            let changes: [MemberChange] = [
                .add(fresh), .remove(member), .replace(member, with: fresh),
            ]
            return .command(.changeMembers(changes[Int(random.next() % 3)]))
        case 1:
            let learners = coming.map { $0.isWitness || data.contains($0.node) ? [] : [$0.node] }
            return .membership(Roll(data: data, learners: learners ?? []))
        default:
            guard let change = decisions.wish?.change else { return .blank }
            let new = coming.map { $0.isWitness ? [] : [$0.node] } ?? []
            return .membership(
                Roll(
                    data: data.filter { $0 != change.leaving && !new.contains($0) } + new,
                    isJoint: decisions.wish?.joint == nil))
        }
    }

    /// Applies 400 drawn commands, well and badly formed.
    private func decisions(seed: UInt64) -> Decisions {
        var random = SeededRandom(seed: seed)
        var decisions = Decisions(seats: [
            .init(node: NodeID(1), region: east), .init(node: NodeID(2), region: west),
        ])
        for _ in 0..<400 {
            let epoch = decisions.tenure.epoch
            let warrant: Warrant =
                switch decisions.tenure {
                case .vacant: .firstPrimary
                case .held(_, let renewal): .leaseEnded(renewal: renewal)
                case .relinquished(_, let index): .relinquished(at: index)
                }
            let deeds: [Decisions.Deed] = [
                .command(.promote(node: NodeID(1), epoch: epoch.next, warrant: warrant)),
                .command(.relinquish(epoch: epoch)), .record, .blank,
                .command(
                    .createVolume(
                        name: "v\(random.next() % 20)", byteCount: 8_192, durability: .async)),
                .command(.deleteVolume(VolumeID(random.next() % 30))), .command(.prefer(east)),
                .command(.cancelMembers), members(&random, decisions),
            ]
            _ = decisions.apply(
                .init(
                    index: decisions.appliedIndex.next, epoch: epoch,
                    session: SessionID(random.next() % 5), sequence: random.next() % 60,
                    deed: deeds[Int(random.next() % UInt64(deeds.count))]))
        }
        return decisions
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `a snapshot restores the decisions, and equal decisions give equal bytes`(seed: UInt64)
        throws
    {
        let before = decisions(seed: seed)
        let after = try Decisions(parsing: before.encoded)
        #expect(after == before)
        #expect(after.encoded == before.encoded)
    }

    @Test func `a fresh mesh's snapshot has no primary`() throws {
        let fresh = Decisions(seats: [.init(node: NodeID(1), region: east)])
        #expect(try Decisions(parsing: fresh.encoded).tenure == .vacant)
    }

    /// Restores what no log can have led to, and says which field gave it away.
    private func refused(_ spoil: (inout Decisions.Image) -> Void) -> String? {
        var image = decisions(seed: 3).image
        spoil(&image)
        do throws(PayloadRefused) {
            _ = try Decisions(parsing: Decisions(restoring: image).encoded)
            return nil
        } catch {
            guard case .unlawful(let field, _) = error else { return "\(error)" }
            return field
        }
    }

    @Test func `a snapshot that no log can have led to is refused`() {
        #expect(refused { _ in } == nil)
        #expect(refused { $0.volumesEverCreated = 1 } == "volume id")
        #expect(refused { $0.volumesEverCreated = .max } == "volumes_ever_created")
        #expect(refused { $0.appliedIndex = LogIndex(.max) } == "applied_index")
        #expect(refused { $0.appliedIndex = .zero } == "tenure.since")
        #expect(
            refused { $0.sessions = [.init(id: SessionID(1), lastSequence: .max)] }
                == "last_sequence")
        let odd = Volume(id: VolumeID(1), name: "odd", byteCount: 4_097, durability: .sync)
        #expect(refused { $0.volumes = [odd] } == "volume byte_count")
        let twins = [1, 2].map { id in
            Volume(id: VolumeID(id), name: "twin", byteCount: 4_096, durability: .sync)
        }
        #expect(refused { $0.volumes = twins } == "volumes")
        #expect(refused { $0.former = [$0.seats[0].node] } == "members")
        #expect(refused { $0.former = [NodeID(99), NodeID(98)] } == "former")
        #expect(
            refused { $0.wish = Wish(.remove(NodeID(99)), since: LogIndex(1)) } == "wish")
        #expect(
            refused { $0.wish = Wish(.remove($0.seats[0].node), since: LogIndex(401)) } == "wish")
    }

    @Test func `a snapshot with a volume twice is refused`() throws {
        var decisions = Decisions(seats: [.init(node: NodeID(1), region: east)])
        _ = decisions.apply(
            .init(
                index: LogIndex(1), epoch: .zero,
                deed: .command(.createVolume(name: "a", byteCount: 4_096, durability: .sync))))
        let once = decisions.encoded
        // Protocol buffers merge by concatenation: repeated fields are appended.
        #expect(
            throws: PayloadRefused.unlawful(field: "seats", value: "1 after 1")
        ) { try Decisions(parsing: once + once) }
    }
}
