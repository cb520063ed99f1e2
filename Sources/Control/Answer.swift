internal import Admin

/// What goes back over the socket.
struct Answer: Hashable, Sendable {
    let status: Int
    let mediaType: String
    /// For the `Allow` field that a 405 must have (RFC 9110 §15.5.6).
    let allowed: [String]
    let body: [UInt8]

    init(_ status: Int, _ value: some Encodable) {
        self.status = status
        mediaType = "application/json"
        allowed = []
        body = JSON.encoded(value)
    }

    init(_ status: Int) {
        self.status = status
        mediaType = ""
        allowed = []
        body = []
    }

    /// Bytes as they are.
    init(bytes: [UInt8]) {
        status = 200
        mediaType = "application/octet-stream"
        allowed = []
        body = bytes
    }

    init(_ problem: Problem, allowed: [String] = []) {
        status = problem.status
        mediaType = Problem.mediaType
        self.allowed = allowed
        body = JSON.encoded(problem)
    }

    init(_ refused: HTTPRefused) {
        var methods: [String] = []
        if case .methodUnlawful(_, let allowed) = refused { methods = allowed }
        self.init(Problem(refused), allowed: methods)
    }
}

extension Answer {
    /// Takes the question to the door.
    init(to route: Route, from door: any AdminDoor) async {
        do throws(AdminRefused) {
            switch route {
            case .status: self.init(200, try await door.status())
            case .members:
                let status = try await door.status()
                self.init(
                    200,
                    MembersReport(members: status.members, wish: status.wish, level: status.level))
            case .raft: self.init(200, try await door.raft())
            case .volumes:
                self.init(200, VolumesReport(volumes: try await door.status().volumes))
            case .createVolume(let request):
                self.init(201, try await door.createVolume(request))
            case .growVolume(let name, let growth):
                self.init(200, try await door.growVolume(named: name, growth))
            case .distrustVolume(let name, let distrust):
                self.init(202, try await door.distrustVolume(named: name, distrust))
            case .deleteVolume(let name):
                try await door.deleteVolume(named: name)
                self.init(204)
            case .switchover(let request):
                self.init(200, try await door.switchover(to: request.region))
            case .changeMembers(let request):
                self.init(202, try await door.changeMembers(request))
            case .cancelMembers: self.init(200, try await door.cancelMembers())
            case .alarms:
                self.init(200, AlarmsReport(alarms: try await door.status().alarms))
            case .clearAlarm(let code):
                self.init(200, try await door.clearAlarm(named: code))
            case .log(let query): self.init(200, try await door.log(query))
            case .backup: self.init(200, try await door.backup())
            case .beginBackup(let request):
                self.init(202, try await door.beginBackup(request))
            case .snapshots: self.init(200, try await door.snapshots().list())
            case .createSnapshot(let request):
                self.init(201, try await door.snapshots().create(request))
            case .deleteSnapshot(let name):
                try await door.snapshots().delete(named: name)
                self.init(204)
            case .snapshotShape(let name, let volume):
                self.init(200, try await door.snapshots().shape(of: name, volume: volume))
            case .readSnapshot(let read):
                self.init(bytes: try await door.snapshots().read(read))
            }
        } catch {
            self.init(Problem(error))
        }
    }
}
