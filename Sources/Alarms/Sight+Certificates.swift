internal import Admin

extension Sight {
    package static let certificateWarningDays: UInt64 = 30
    package static let certificateCriticalDays: UInt64 = 7
    private static let daySeconds: UInt64 = 86_400

    var certificateAlarms: [Alarm] {
        certificates.compactMap { certificate in
            let left = certificate.endsAt > now ? certificate.endsAt - now : 0
            guard left < Self.certificateWarningDays * Self.daySeconds else { return nil }
            let isCritical = left < Self.certificateCriticalDays * Self.daySeconds
            return alarm(
                .certificateExpires, isCritical ? .critical : .warning,
                "\(certificate.isAuthority ? "the authority's" : "this node's") certificate "
                    + "\(certificate.path) \(Self.end(of: certificate, left)): without it no "
                    + "connection is made", do: Self.remedy(certificate))
        }
    }

    private static func end(of certificate: Certificate, _ left: UInt64) -> String {
        let time = utc(certificate.endsAt)
        guard left > 0 else { return "has expired on \(time)" }
        let (days, hours) = (left / daySeconds, left / 3_600)
        let words =
            days > 0
            ? counted(days, "day") : hours > 0 ? counted(hours, "hour") : "less than an hour"
        return "expires in \(words), on \(time)"
    }

    /// What counts is what the process has read, not what lies there by now.
    private static func remedy(_ certificate: Certificate) -> String {
        let what =
            certificate.isAuthority
            ? "put a new authority's certificate beside the old one in \(certificate.path) on every "
                + "node, then issue new certificates"
            : "renew it with `holdfast cert renew` and put the new pair in its place"
        return "\(what); then send this process SIGHUP; see \"Renewing certificates\" in "
            + "docs/operations.md"
    }
}
