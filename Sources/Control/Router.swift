internal import Admin

/// From a request to what it asks. Pure: equal requests mean equal routes.
package enum Router {
    package static func route(_ request: AdminRequest) throws(HTTPRefused) -> Route {
        let parts = request.target.split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = String(parts[0])
        let query = parts.count > 1 ? parts[1] : ""
        switch path {
        case "/v1/status": return try get(.status, request)
        case "/v1/members":
            try demand(["GET", "POST"], request)
            return request.method == "GET" ? .members : .changeMembers(try body(request))
        case "/v1/members/wish":
            try demand(["DELETE"], request)
            return .cancelMembers
        case "/v1/raft": return try get(.raft, request)
        case "/v1/alarms": return try get(.alarms, request)
        case "/v1/log":
            try demand(["GET"], request)
            return .log(try logQuery(query))
        case "/v1/switchover":
            try demand(["POST"], request)
            return .switchover(try body(request))
        case "/v1/volumes":
            try demand(["GET", "POST"], request)
            return request.method == "GET" ? .volumes : .createVolume(try body(request))
        case "/v1/backup":
            try demand(["GET", "POST"], request)
            return request.method == "GET" ? .backup : .beginBackup(try body(request))
        case "/v1/snapshots":
            try demand(["GET", "POST"], request)
            return request.method == "GET" ? .snapshots : .createSnapshot(try body(request))
        case "/v1/snapshot-bytes":
            try demand(["GET"], request)
            return .readSnapshot(try snapshotRead(query))
        case let path where path.hasPrefix(snapshotsPrefix):
            return try snapshot(named: try name(in: path, behind: snapshotsPrefix), query, request)
        case let path where path.hasPrefix(alarmsPrefix):
            let code = try name(in: path, behind: alarmsPrefix)
            try demand(["DELETE"], request)
            return .clearAlarm(named: code)
        case let path where path.hasPrefix(volumesPrefix) && path.hasSuffix(distrustSuffix):
            let name = try name(
                in: String(path.dropLast(distrustSuffix.count)), behind: volumesPrefix)
            try demand(["POST"], request)
            return .distrustVolume(named: name, try body(request))
        default:
            let name = try name(in: path, behind: volumesPrefix)
            try demand(["DELETE", "PATCH"], request)
            return request.method == "DELETE"
                ? .deleteVolume(named: name) : .growVolume(named: name, try body(request))
        }
    }

    private static let alarmsPrefix = "/v1/alarms/"
    private static let volumesPrefix = "/v1/volumes/"
    private static let distrustSuffix = "/distrust"

    private static let snapshotsPrefix = "/v1/snapshots/"

    private static func name(
        in path: String, behind prefix: String
    ) throws(HTTPRefused) -> String {
        guard path.hasPrefix(prefix) else { throw .pathUnknown(path) }
        let name = path.dropFirst(prefix.count)
        guard !name.isEmpty, !name.contains("/") else { throw .pathUnknown(path) }
        guard let name = PercentText.decoded(name) else {
            throw .malformed(why: "\(path) is not percent-encoded UTF-8.")
        }
        return name
    }

    private static func get(
        _ route: Route, _ request: AdminRequest
    ) throws(HTTPRefused) -> Route {
        try demand(["GET"], request)
        return route
    }

    static func demand(_ allowed: [String], _ request: AdminRequest) throws(HTTPRefused) {
        guard allowed.contains(request.method) else {
            throw .methodUnlawful(request.method, allowed: allowed)
        }
    }

    private static func body<Body: Decodable>(
        _ request: AdminRequest
    ) throws(HTTPRefused) -> Body {
        do { return try JSON.decoded(Body.self, from: request.body) } catch {
            throw .malformed(why: "The body is not as expected: \(error.why).")
        }
    }

    private static func logQuery(_ text: Substring) throws(HTTPRefused) -> LogQuery {
        var query = LogQuery()
        for pair in text.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = halves.count > 1 ? UInt64(halves[1]) : nil
            switch (halves[0], value) {
            case ("from", let index?): query.from = index
            case ("to", let index?): query.to = index
            case ("max", let count?) where (1...UInt64(LogQuery.entriesMax)).contains(count):
                query.max = Int(count)
            case ("max", _):
                throw .malformed(
                    why: "max must be a whole number of 1 to \(LogQuery.entriesMax).")
            case ("from", _), ("to", _):
                throw .malformed(why: "\(halves[0]) must be a whole number.")
            default: throw .malformed(why: "\(halves[0]) is no parameter of /v1/log.")
            }
        }
        return query
    }
}
