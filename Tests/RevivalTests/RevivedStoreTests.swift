import Foundation
import Journal
import JournalCore
import Mesh
import Raft
import Record
import Revival
import Store
import Testing
import VolumeCore

@Suite("A data directory that is made from a repository") final class RevivedStoreTests {
    private static let id = VolumeID(3)
    private static let position = Position(index: LogIndex(41), term: Term(6))
    private static let membership = Membership(
        voters: Electorate(data: [NodeID(11), NodeID(12)]), preferred: [NodeID(12)])
    private static let settings = JournalSettings(
        cluster: ClusterID(high: 1, low: 2), group: GroupID(1), segmentByteCount: 1 << 20)
    private let home: String
    private let directory: StoreDirectory

    init() throws {
        home = FileManager.default.temporaryDirectory.path() + "hfr-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        directory = StoreDirectory(
            home + "/data", of: NodeID(11), in: Self.settings.cluster,
            members: "11 data, 12 data", config: "node.yaml")
    }

    deinit { try? FileManager.default.removeItem(atPath: home) }

    private func fill(_ store: RevivedStore, _ byte: UInt8) throws {
        try store.create(Self.id, name: "a", byteCount: 1 << 20, isSync: true)
        try store.write([UInt8](repeating: byte, count: 64 << 10), at: 128 << 10, of: Self.id)
        // As a guest writes: no whole blocks.
        try store.write([1, 2, 3], at: 130 << 10 | 7, of: Self.id)
        try store.zero(150 << 10..<160 << 10, of: Self.id)
    }

    private func finish(_ store: RevivedStore) throws -> Identity {
        try store.finish(
            RevivedStore.Beginning(
                position: Self.position, membership: Self.membership, decisions: [4, 5]),
            Self.settings, as: StoreID(high: 8, low: 9), random: SeededRandom(seed: 1))
    }

    private func refusal(_ deed: () throws -> some Any) -> String {
        do {
            _ = try deed()
            return "not refused"
        } catch { return "\(error)" }
    }

    private func expectWhole(_ byte: UInt8) throws {
        #expect(try directory.identity().hasJournal)
        var volumes = try FileDisk(home + "/data/volumes")
        var core = try VolumeCore(disk: volumes, logEnd: Self.position.index)
        #expect(core.applied == Self.position.index && !core.isResyncing)
        let bytes = try core.readCommitted(Self.id, at: 128 << 10, count: 64 << 10).get()
        #expect(bytes[0] == byte && bytes[2_055...2_058] == [1, 2, 3, byte])
        #expect(bytes[(22 << 10)..<(32 << 10)].allSatisfy { $0 == 0 } && bytes[32 << 10] == byte)
        volumes = core.disk
        volumes.shutDown()
        var disk = try FileDisk(home + "/data/journal")
        let (_, recovered) = try JournalCore.open(
            &disk, settings: Self.settings, random: SeededRandom(seed: 2))
        #expect(recovered.base.position == Self.position && recovered.last == Self.position)
        #expect(recovered.hardState.term == Self.position.term)
        #expect(recovered.hardState.vote == nil)
        let (membership, state) = try recovered.base.parsed()
        #expect(membership == Self.membership && state.contents == [4, 5])
        disk.shutDown()
    }

    @Test func `it has the volumes, and a log that begins behind them`() throws {
        let store = try RevivedStore(directory)
        try fill(store, 7)
        #expect(try finish(store) == directory.identity())
        try expectWhole(7)
        #expect(!FileManager.default.fileExists(atPath: home + "/data/restoring"))
    }

    @Test func `before its end it is no node's, and asking again begins anew`() throws {
        var store: RevivedStore? = try RevivedStore(directory)
        #expect(refusal { try directory.identity() }.contains("a restore began"))
        try store.map { try fill($0, 1) }
        let told = refusal { try directory.identity() }
        #expect(told.contains("Ask for the restore again") && !told.contains("holdfast init"))
        #expect(
            refusal { try directory.make(StoreID(high: 1, low: 1)) }.contains("a restore began"))
        store = nil
        let again = try RevivedStore(directory)
        #expect(again.volumes.isEmpty)
        try fill(again, 9)
        _ = try finish(again)
        try expectWhole(9)
    }

    @Test func `killed just before its identity it begins anew as well`() throws {
        let store = try RevivedStore(directory)
        try fill(store, 1)
        _ = try finish(store)
        try FileManager.default.removeItem(atPath: home + "/data/identity")
        try Data().write(to: URL(filePath: home + "/data/restoring"))
        #expect(refusal { try directory.identity() }.contains("a restore began"))
        let again = try RevivedStore(directory)
        try #require(again.volumes.isEmpty)
        try fill(again, 9)
        _ = try finish(again)
        try expectWhole(9)
    }

    @Test func `the identity comes last`() throws {
        let store = try RevivedStore(directory)
        try fill(store, 7)
        // Nobody can write the journal: what follows the volumes fails.
        var other = try FileDisk(home + "/data/journal")
        #expect(refusal { try finish(store) } != "not refused")
        #expect(refusal { try directory.identity() }.contains("a restore began"))
        other.shutDown()
    }

    @Test func `what is there already stays as it is`() throws {
        _ = try directory.make(StoreID(high: 1, low: 1))
        #expect(refusal { try RevivedStore(directory) }.contains("holds something already"))
        #expect(try directory.identity().store == StoreID(high: 1, low: 1))
        try FileManager.default.removeItem(atPath: home + "/data/identity")
        try Data([1]).write(to: URL(filePath: home + "/data/mine"))
        #expect(refusal { try RevivedStore(directory) }.contains("mine"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: home + "/data") == ["mine"])
    }

    @Test func `what somebody put beside a half restore is not taken for a part of it`() throws {
        var store: RevivedStore? = try RevivedStore(directory)
        try store.map { try fill($0, 1) }
        store = nil
        try Data([1]).write(to: URL(filePath: home + "/data/mine"))
        #expect(refusal { try RevivedStore(directory) }.contains("mine"))
        let volumes = try FileManager.default.contentsOfDirectory(atPath: home + "/data/volumes")
        #expect(volumes.contains("volume-3.image"))
    }

    @Test func `only one restores into a directory`() throws {
        let store = try RevivedStore(directory)
        #expect(refusal { try RevivedStore(directory) }.contains("another process restores"))
        try fill(store, 7)
        _ = try finish(store)
        #expect(refusal { try RevivedStore(directory) }.contains("holds something already"))
        try expectWhole(7)
    }
}
