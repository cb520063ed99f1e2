import Alarms
import Foundation
import Gossip
import Launch
import Logging
import Mesh
import Settings
import Testing
import Voting

@Suite("Alarms that outlive the process")
struct AlarmKeeperTests {
    private static let print = ClusterPrint(members: 7, lease: .milliseconds(400))

    private func keeper(in directory: String, own: UInt64 = 1) throws -> AlarmKeeper {
        try AlarmKeeper(
            in: directory, own: NodeID(own), clusterFile: Self.print,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test func `an incident stands after a restart, a cleared one stays cleared`() async throws {
        let directory = try LaunchTests.directory()
        let first = try keeper(in: directory)
        first.note(.replicaLost, about: NodeID(2), index: LogIndex(9), at: 5)
        await first.settle()
        let second = try keeper(in: directory)
        #expect(second.incidents.standing.map(\.id.about) == [NodeID(2)])
        #expect(await second.clear(.replicaLost) == 1)
        let third = try keeper(in: directory)
        #expect(third.incidents.standing.isEmpty && third.incidents.all.count == 1)
        #expect(await third.clear(.replicaLost) == 0)
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test func `what one node saw and another one cleared is known to both, past their restarts`()
        async throws
    {
        let (here, there) = (try LaunchTests.directory(), try LaunchTests.directory())
        func exchange(_ from: AlarmKeeper, _ to: AlarmKeeper) throws {
            let bulletin = try #require(Bulletin(parsing: from.bulletin))
            #expect(bulletin.clusterFile == Self.print)
            to.look(bulletins: [bulletin], madeGood: [], lags: [:], at: 0)
        }
        let (one, two) = (try keeper(in: here), try keeper(in: there, own: 2))
        one.note(.contradiction, about: NodeID(3), index: LogIndex(9), at: 5)
        try exchange(one, two)
        await two.settle()
        #expect(try keeper(in: there, own: 2).incidents.standing.count == 1)
        #expect(await two.clear(.contradiction) == 1)
        try exchange(two, one)
        await one.settle()
        #expect(try keeper(in: here).incidents.standing.isEmpty)
        for directory in [here, there] { try FileManager.default.removeItem(atPath: directory) }
    }

    /// A register that is too long would be refused, and nobody would hear of this node any more.
    @Test func `whatever happened, a report fits into its register in the gossip`() {
        var incidents = Incidents()
        for number in 1...UInt64(Incidents.countMax) * 2 {
            incidents.note(
                .replicaLost, about: NodeID(number), index: .zero, seenBy: NodeID(1), at: number)
        }
        let bulletin = Bulletin(clusterFile: Self.print, incidents: incidents)
        let report = Report(
            applied: .zero, last: .zero, hasRoom: false, bulletin: bulletin.encoded,
            speaks: .spoken, mesh: .first)
        #expect(
            report.encoded.count
                == Report.byteCount + Bulletin.byteCountMax + Report.levelsByteCount)
        #expect(report.encoded.count <= Gossip.Limit.registerBytesMax)
    }

    @Test func `a file that can't be read keeps no node from starting`() async throws {
        let directory = try LaunchTests.directory()
        try Data([9, 1, 2]).write(to: URL(filePath: directory + "/" + AlarmKeeper.fileName))
        let keeper = try keeper(in: directory)
        #expect(keeper.incidents == Incidents())
        keeper.note(.replicaLost, about: NodeID(2), index: LogIndex(9), at: 5)
        await keeper.settle()
        #expect(try self.keeper(in: directory).incidents.standing.count == 1)
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test func `two cluster files have one print when they say the same, and no other`() throws {
        func print(_ change: (String) -> String) throws -> ClusterPrint {
            try ClusterSettings(parsing: change(Self.file), file: "cluster.yaml").print
        }
        let plain = try print { $0 }
        #expect(try print { "# the same\n" + $0.replacing("lease: 400ms\n", with: "") } == plain)
        for (old, new) in [
            ("role: witness", "role: data"), ("a:7102", "a:7109"), ("region: b", "region: d"),
            ("secondaryRegions: [b]", "secondaryRegions: []"), ("lease: 400ms", "lease: 401ms"),
            ("lease: 400ms", "lease: 400ms\nbackups: {schedule: \"15 * * * *\"}"),
            ("id: 3", "id: 4"), ("0000000000000001\n", "0000000000000002\n"),
        ] {
            let changed = try print { text in
                let text = text.replacing(old, with: new)
                return new == "region: d" ? text.replacing("[b]", with: "[d]") : text
            }
            #expect(changed != plain, "\(new)")
        }
    }

    private static let file = """
        cluster: 00000000000000000000000000000001
        members:
          - {id: 1, region: a, role: data, address: "a:7101"}
          - {id: 2, region: b, role: data, address: "a:7102"}
          - {id: 3, region: c, role: witness, address: "a:7103"}
        primaryRegion: a
        secondaryRegions: [b]
        lease: 400ms

        """
}
