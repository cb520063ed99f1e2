package import Admin

/// All that can be asked over the admin socket.
package enum Route: Hashable, Sendable {
    case status
    case members
    case raft
    case volumes
    case createVolume(VolumeRequest)
    case growVolume(named: String, VolumeGrowth)
    case distrustVolume(named: String, VolumeDistrust)
    case deleteVolume(named: String)
    case switchover(SwitchoverRequest)
    case changeMembers(MembersRequest)
    case cancelMembers
    case alarms
    case clearAlarm(named: String)
    case log(LogQuery)
    case backup
    case beginBackup(BackupRequest)
    case snapshots
    case createSnapshot(SnapshotRequest)
    case deleteSnapshot(named: String)
    case snapshotShape(named: String, volume: String)
    case readSnapshot(SnapshotRead)
}

/// An HTTP request, whole and within the limits.
package struct AdminRequest: Hashable, Sendable {
    package var method: String
    /// Path and query, percent-encoded.
    package var target: String
    package var body: [UInt8]

    package init(_ method: String, _ target: String, body: [UInt8] = []) {
        self.method = method
        self.target = target
        self.body = body
    }
}

extension Route {
    /// The request that means this route: what `Router` reads back.
    package var request: AdminRequest {
        switch self {
        case .status: AdminRequest("GET", "/v1/status")
        case .members: AdminRequest("GET", "/v1/members")
        case .raft: AdminRequest("GET", "/v1/raft")
        case .volumes: AdminRequest("GET", "/v1/volumes")
        case .createVolume(let request):
            AdminRequest("POST", "/v1/volumes", body: JSON.encoded(request))
        case .growVolume(let name, let growth):
            AdminRequest(
                "PATCH", "/v1/volumes/" + PercentText.encoded(name), body: JSON.encoded(growth))
        case .distrustVolume(let name, let distrust):
            AdminRequest(
                "POST", "/v1/volumes/" + PercentText.encoded(name) + "/distrust",
                body: JSON.encoded(distrust))
        case .deleteVolume(let name):
            AdminRequest("DELETE", "/v1/volumes/" + PercentText.encoded(name))
        case .switchover(let request):
            AdminRequest("POST", "/v1/switchover", body: JSON.encoded(request))
        case .changeMembers(let request):
            AdminRequest("POST", "/v1/members", body: JSON.encoded(request))
        case .cancelMembers: AdminRequest("DELETE", "/v1/members/wish")
        case .alarms: AdminRequest("GET", "/v1/alarms")
        case .clearAlarm(let code):
            AdminRequest("DELETE", "/v1/alarms/" + PercentText.encoded(code))
        case .backup: AdminRequest("GET", "/v1/backup")
        case .beginBackup(let request):
            AdminRequest("POST", "/v1/backup", body: JSON.encoded(request))
        case .snapshots: AdminRequest("GET", "/v1/snapshots")
        case .createSnapshot(let request):
            AdminRequest("POST", "/v1/snapshots", body: JSON.encoded(request))
        case .deleteSnapshot(let name):
            AdminRequest("DELETE", "/v1/snapshots/" + PercentText.encoded(name))
        case .snapshotShape(let name, let volume):
            AdminRequest(
                "GET",
                "/v1/snapshots/\(PercentText.encoded(name))?volume=\(PercentText.encoded(volume))")
        case .readSnapshot(let read): AdminRequest("GET", Self.target(of: read))
        case .log(let query): AdminRequest("GET", "/v1/log?" + Self.text(of: query))
        }
    }

    private static func target(of read: SnapshotRead) -> String {
        "/v1/snapshot-bytes?snapshot=\(read.snapshot)&volume=\(read.volume)&from=\(read.from)&to=\(read.to)"
    }

    private static func text(of query: LogQuery) -> String {
        let from = query.from.map { "from=\($0)" }
        let to = query.to.map { "to=\($0)" }
        return [from, to, "max=\(query.max)"].compactMap(\.self).joined(separator: "&")
    }
}
