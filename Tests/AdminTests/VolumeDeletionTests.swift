import Admin
import Testing

@Suite("Where a volume may be deleted")
struct VolumeDeletionTests {
    private func deletion(actsHere: Bool, clients: Int = 0) -> VolumeDeletion {
        VolumeDeletion(
            actsHere: actsHere, primary: "us-east-1",
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

    @Test(arguments: [true, false])
    func `a name that is none is refused anywhere, with those there are`(actsHere: Bool) {
        #expect(throws: AdminRefused.volume(.unknown(name: "nope", known: ["a", "db"]))) {
            try deletion(actsHere: actsHere).admit("nope")
        }
    }
}
