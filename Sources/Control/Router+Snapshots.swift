internal import Admin

extension Router {
    static func snapshot(
        named name: String, _ query: Substring, _ request: AdminRequest
    ) throws(HTTPRefused) -> Route {
        try demand(["GET", "DELETE"], request)
        guard request.method == "GET" else { return .deleteSnapshot(named: name) }
        let prefix = "volume="
        guard query.hasPrefix(prefix),
            let volume = PercentText.decoded(query.dropFirst(prefix.count)), !volume.isEmpty
        else { throw .malformed(why: "volume must name one of the snapshot's.") }
        return .snapshotShape(named: name, volume: volume)
    }

    static func snapshotRead(_ text: Substring) throws(HTTPRefused) -> SnapshotRead {
        var values: [Substring: UInt64] = [:]
        for pair in text.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, let value = UInt64(halves[1]) else {
                throw .malformed(why: "\(halves[0]) must be a whole number.")
            }
            values[halves[0]] = value
        }
        guard let snapshot = values["snapshot"], let volume = values["volume"],
            let from = values["from"], let to = values["to"], values.count == 4, from < to
        else {
            throw .malformed(why: "snapshot, volume, from and to are needed, and to is the larger.")
        }
        return SnapshotRead(snapshot: snapshot, volume: volume, from: from, to: to)
    }
}
