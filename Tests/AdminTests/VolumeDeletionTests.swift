import Admin
import Testing

@Suite("Where a volume may be deleted")
struct VolumeDeletionTests {
    private func deletion(
        actsHere: Bool, clients: Int = 0, reachable: Int = 2, isHeard: Bool = true
    ) -> VolumeDeletion {
        VolumeDeletion(
            quorum: QuorumReport(voters: 3, needed: 2, reachable: reachable, ok: reachable > 1),
            actsHere: actsHere, primary: .init(region: "us-east-1", isHeard: isHeard),
            volumes: [
                VolumeReport(
                    id: 7, name: "db", byteCount: 4_096, mode: .sync, isOpen: actsHere,
                    clients: clients),
                VolumeReport(id: 8, name: "a", byteCount: 4_096, mode: .sync, isOpen: actsHere),
            ])
    }

    @Test func `the acting primary deletes what nobody has open`() throws {
        #expect(try deletion(actsHere: true).admit("db").id == 7)
    }

    @Test func `the acting primary keeps what a client has open`() {
        #expect(throws: AdminRefused.volume(.inUse(name: "db", clients: 2))) {
            try deletion(actsHere: true, clients: 2).admit("db")
        }
    }

    @Test func `another node sees no clients, and sends the operator to the primary`() {
        #expect(throws: AdminRefused.mesh(.notPrimary(primary: "us-east-1"))) {
            try deletion(actsHere: false).admit("db")
        }
    }

    @Test func `nobody is sent to a primary that is not heard`() {
        #expect(throws: AdminRefused.mesh(.primaryAway(last: "us-east-1"))) {
            try deletion(actsHere: false, isHeard: false).admit("db")
        }
        #expect(Problem(.mesh(.primaryAway(last: "us-east-1"))).isForWantOfQuorum)
    }

    @Test(arguments: [true, false], ["db", "nope"])
    func `without a quorum that is said first, of any name and anywhere`(
        actsHere: Bool, name: String
    ) {
        #expect(throws: AdminRefused.mesh(.noQuorum(reachable: 1, needed: 2))) {
            try deletion(actsHere: actsHere, clients: 1, reachable: 1, isHeard: false).admit(name)
        }
    }

    @Test(arguments: [true, false])
    func `a name that is none is refused anywhere, with those there are`(actsHere: Bool) {
        #expect(throws: AdminRefused.volume(.unknown(name: "nope", known: ["a", "db"]))) {
            try deletion(actsHere: actsHere).admit("nope")
        }
    }
}
