import Admin
import Control
import Testing

private func refusal(_ method: String, _ target: String, _ body: String = "") -> HTTPRefused? {
    do {
        _ = try Router.route(AdminRequest(method, target, body: Array(body.utf8)))
        return nil
    } catch { return error }
}

@Suite("From a request to a route")
struct RouterTests {
    @Test(arguments: [
        Route.status, .members, .raft, .volumes,
        .createVolume(VolumeRequest(name: "db", byteCount: 1 << 34, mode: .async)),
        .alarms, .clearAlarm(named: "replica-lost"), .clearAlarm(named: "no such/na%me"),
        .growVolume(named: "db", VolumeGrowth(byteCount: 8_192)),
        .distrustVolume(named: "db/x", VolumeDistrust(offset: 4_096, byteCount: 8_192)),
        .deleteVolume(named: "db"), .deleteVolume(named: "no such/na%me? é"),
        .changeMembers(MembersRequest(coming: 4, leaving: 3, witness: true)), .cancelMembers,
        .switchover(SwitchoverRequest(region: "us-west-2")), .log(LogQuery()),
        .backup, .beginBackup(BackupRequest(full: true)),
        .beginBackup(BackupRequest(full: false, rate: 50 << 20)),
        .snapshots, .createSnapshot(SnapshotRequest(name: "a", volumes: ["db"])),
        .deleteSnapshot(named: "a"), .snapshotShape(named: "a", volume: "no such&na%me? é"),
        .readSnapshot(SnapshotRead(snapshot: 5, volume: 1, from: 0, to: .max)),
        .log(LogQuery(from: 7, to: .max, max: 1_000)),
    ])
    func `what a client writes is what the router reads`(route: Route) throws {
        #expect(try Router.route(route.request) == route)
    }

    @Test(arguments: [
        "/", "", "*", "/v1", "/v1/", "/v1/status/", "/v2/status", "/v1/volumes/", "/v1/volumes/a/b",
        "http://x/v1/status",
    ])
    func `an unknown path is said to be unknown`(path: String) {
        #expect(refusal("GET", path) == .pathUnknown(path))
    }

    @Test(arguments: [
        ("POST", "/v1/status", ["GET"]), ("DELETE", "/v1/volumes", ["GET", "POST"]),
        ("GET", "/v1/volumes/db", ["DELETE", "PATCH"]), ("GET", "/v1/switchover", ["POST"]),
        ("DELETE", "/v1/members", ["GET", "POST"]), ("GET", "/v1/members/wish", ["DELETE"]),
        ("PUT", "/v1/snapshots", ["GET", "POST"]), ("POST", "/v1/snapshots/a", ["GET", "DELETE"]),
        ("POST", "/v1/snapshot-bytes", ["GET"]), ("HEAD", "/v1/log", ["GET"]),
        ("get", "/v1/raft", ["GET"]),
    ])
    func `a method that a path lacks is refused with those it has`(
        method: String, path: String, allowed: [String]
    ) {
        #expect(refusal(method, path) == .methodUnlawful(method, allowed: allowed))
    }

    @Test(arguments: [
        ("", "it is not JSON"), ("{", "it is not JSON"), ("{}", "name is missing"),
        (#"{"name":"a","mode":"sync"}"#, "byteCount is missing"),
        (#"{"name":"a","byteCount":-1,"mode":"sync"}"#, "does not fit"),
        (#"{"name":"a","byteCount":"9","mode":"sync"}"#, "byteCount is no"),
        (#"{"name":"a","byteCount":9,"mode":"fast"}"#, "mode"), ("[1]", "the body is no"),
    ])
    func `a body that is not as expected is refused with the place`(body: String, says: String) {
        guard case .malformed(let why)? = refusal("POST", "/v1/volumes", body) else {
            Issue.record("\(body) was taken")
            return
        }
        #expect(why.contains(says))
    }

    @Test(arguments: [
        "max=0", "max=1001", "max=-1", "max=", "max", "from=x", "to=1.5", "form=1",
        "from=99999999999999999999",
    ])
    func `a parameter that is not as expected is refused`(query: String) {
        guard case .malformed? = refusal("GET", "/v1/log?" + query) else {
            Issue.record("\(query) was taken")
            return
        }
    }

    @Test(arguments: ["%", "%4", "%zz", "%ff", "%c3"])
    func `a volume's name that is no percent-encoded UTF-8 is refused`(name: String) {
        guard case .malformed? = refusal("DELETE", "/v1/volumes/" + name) else {
            Issue.record("\(name) was taken")
            return
        }
    }
}
