internal import Admin
internal import Control
internal import FoundationEssentials

extension FuzzTarget {
    static let admin = [
        FuzzTarget(
            "admin-request", byteCountMax: 512, seeds: { try AdminSamples.requests() },
            body: adminRequest),
        FuzzTarget(
            "admin-answer", byteCountMax: 1_024, seeds: { try AdminSamples.answers() },
            body: adminAnswer),
    ]

    /// A request is refused with a reason, or means what the route's own request means.
    private static func adminRequest(_ bytes: [UInt8]) throws -> Verdict {
        let parts = bytes.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
        let texts = parts.prefix(2).map { String(decoding: $0, as: UTF8.self) }
        guard texts.count == 2 else { return .refused }
        let body = parts.count > 2 ? Array(parts[2]) : []
        do throws(HTTPRefused) {
            let route = try Router.route(AdminRequest(texts[0], texts[1], body: body))
            guard let again = try? Router.route(route.request), again == route else {
                throw .lateRequest
            }
            if case .log(let query) = route { checkBounds(of: query) }
            return .accepted
        } catch {
            try promise(error != .lateRequest, "a route is read back as it was")
            try promise((400...499).contains(Problem(error).status), "a bad request is told so")
            return .refused
        }
    }

    /// Whatever the log holds, the answer is bounded.
    private static func checkBounds(of query: LogQuery) {
        for (first, last) in [(1, 0), (1, 9), (5, UInt64.max), (UInt64.max, UInt64.max)] {
            _ = query.indexes(first: first, last: last)
        }
    }

    /// An answer is read back as it was.
    private static func adminAnswer(_ bytes: [UInt8]) throws -> Verdict {
        var input = Input(bytes)
        let kind = input.byte()
        let data = Data(input.rest())
        return switch kind {
        case 0: try answer(StatusReport.self, data)
        case 1: try answer(RaftReport.self, data)
        case 2: try answer(LogReport.self, data)
        case 3: try answer(MembersReport.self, data)
        case 4: try answer(VolumesReport.self, data)
        case 5: try answer(AlarmsReport.self, data)
        case 6: try answer(SwitchoverReport.self, data)
        case 8: try answer(MembersChangeReport.self, data)
        default: try answer(Problem.self, data)
        }
    }

    private static func answer<Report: Codable & Equatable>(_: Report.Type, _ data: Data) throws
        -> Verdict
    {
        guard let report = try? JSONDecoder().decode(Report.self, from: data) else {
            return .refused
        }
        let again = try JSONDecoder().decode(Report.self, from: JSONEncoder().encode(report))
        try promise(again == report, "an answer is read back as it was")
        return .accepted
    }
}
