/// Until when objects of a bucket can neither be deleted nor changed (S3's "object lock").
package struct S3Lock: Hashable, Sendable {
    package enum Mode: String, Hashable, Sendable {
        /// Nobody can end it, whoever owns the account.
        case compliance = "COMPLIANCE"
        /// Who is allowed to in so many words (`s3:BypassGovernanceRetention`) can end it.
        case governance = "GOVERNANCE"
    }

    static let modeHeader = "x-amz-object-lock-mode"
    static let untilHeader = "x-amz-object-lock-retain-until-date"
    private static let secondsPerDay: UInt64 = 86_400

    package let mode: Mode
    package let days: UInt64

    package init(_ mode: Mode, days: UInt64) { (self.mode, self.days) = (mode, days) }

    /// A lock that ends sooner is extended.
    package func least(at unixSeconds: UInt64) -> UInt64 {
        unixSeconds + days * Self.secondsPerDay / 2
    }

    private func until(_ unixSeconds: UInt64) -> String {
        S3Time(unixSeconds: unixSeconds + days * Self.secondsPerDay).date
    }

    /// Of a put at that time.
    package func headers(at unixSeconds: UInt64) -> [(String, String)] {
        [(Self.modeHeader, mode.rawValue), (Self.untilHeader, until(unixSeconds))]
    }

    /// What is asked for where an object's lock is extended (PutObjectRetention).
    package func retention(at unixSeconds: UInt64) -> [UInt8] {
        Array(
            ("<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>\(mode.rawValue)</Mode>"
                + "<RetainUntilDate>\(until(unixSeconds))</RetainUntilDate></Retention>").utf8)
    }

    /// What an answer with an object says of its lock; nil where it has none.
    package static func found(in answer: S3Answer) -> (mode: Mode, until: UInt64)? {
        guard let mode = answer.headers[modeHeader].flatMap(Mode.init(rawValue:)),
            let until = answer.headers[untilHeader].flatMap({ S3Time.unixSeconds(date: $0) })
        else { return nil }
        return (mode, until)
    }

    /// Whether a bucket can lock objects, by its own word (GetObjectLockConfiguration).
    package static func isEnabled(by body: [UInt8]) -> Bool {
        guard let root = try? XMLElement(parsing: body) else { return false }
        return root.name == "ObjectLockConfiguration"
            && root.text("ObjectLockEnabled") == "Enabled"
    }
}
