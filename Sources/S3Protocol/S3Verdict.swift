/// What an answer means for what was asked.
package enum S3Verdict: Hashable, Sendable {
    case done
    case noSuchObject
    case noSuchBucket
    /// A put that had to be the first: there is one.
    case isThere
    /// Somebody changed it meanwhile: to be looked at.
    case conflict
    /// The object ends before what was asked for.
    case beyondEnd
    case full
    /// Another try may do; why this one did not.
    case again(String)
    /// No other try will do; why, and what to do.
    case refused(String)

    /// Of an answer whose body, where it succeeded, is an object's own bytes or is the service's.
    package init(_ answer: S3Answer, bodyIsObject: Bool, sentAt: S3Time) {
        let problem = bodyIsObject && answer.isSuccess ? nil : S3Problem(parsing: answer.body)
        if answer.isSuccess, problem == nil {
            self = .done
        } else if let known = problem.flatMap({ Self.byCode($0, answer, sentAt) }) {
            self = known
        } else {
            self = Self.byStatus(answer, problem, bodyIsObject: bodyIsObject)
        }
    }

    /// A code says more than the status, which a "200 OK" contradicts.
    private static func byCode(
        _ problem: S3Problem, _ answer: S3Answer, _ sentAt: S3Time
    ) -> S3Verdict? {
        let words = "\(problem.code): \(problem.message)"
        switch problem.code {
        case "NoSuchKey", "NoSuchVersion": return .noSuchObject
        case "NoSuchBucket": return .noSuchBucket
        case "PreconditionFailed": return .isThere
        case "ConditionalRequestConflict", "OperationAborted": return .conflict
        case "InvalidRange": return .beyondEnd
        case "QuotaExceeded", "XMinioStorageFull", "EntityTooLarge": return .full
        case "InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "Busy",
            "RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequests":
            return .again(words)
        case "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "IncompleteBody",
            "XAmzContentChecksumMismatch":
            return .again("what was sent did not come as it left: \(words)")
        case "RequestTimeTooSkewed":
            let theirs = answer.headers["date"].map { ", the store's \(S3Problem.shown($0))" } ?? ""
            return .refused(
                "this machine's clock says \(sentAt.text)\(theirs): set the clock that is wrong")
        case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
            "TokenRefreshRequired", "InvalidSecurity":
            return .refused(
                "the store does not accept these credentials (\(words)): check their file")
        default: return isElsewhere(problem, answer)
        }
    }

    private static func isElsewhere(_ problem: S3Problem, _ answer: S3Answer) -> S3Verdict? {
        let codes = [
            "PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
        ]
        guard codes.contains(problem.code) else { return nil }
        return .refused(elsewhere(answer, problem))
    }

    private static func elsewhere(_ answer: S3Answer, _ problem: S3Problem?) -> String {
        let region = answer.headers["x-amz-bucket-region"].map(S3Problem.shown) ?? problem?.region
        let found = [
            region.map { "region: \($0)" }, problem?.endpoint.map { "endpoint: https://\($0)" },
        ].compactMap(\.self)
        let said = problem.map { "\($0.code): \($0.message)" } ?? "status \(answer.status)"
        return "the bucket is elsewhere (\(said)); no redirection is followed: set "
            + (found.isEmpty ? "the store's endpoint and region" : found.joined(separator: ", "))
    }

    private static func byStatus(
        _ answer: S3Answer, _ problem: S3Problem?, bodyIsObject: Bool
    ) -> S3Verdict {
        let words =
            "status \(answer.status)" + (problem.map { ", \($0.code): \($0.message)" } ?? "")
        switch answer.status {
        case 200..<300: return .again("what it answered with success is an error: \(words)")
        case 300..<400: return .refused(elsewhere(answer, problem))
        case 401, 403:
            return .refused(
                "the store does not allow it (\(words)): check the credentials, and what they may do "
                    + "with this bucket; of an object that is not there it says the same to who may "
                    + "not list")
        // A service says which object; a gateway in front of one that restarts does not, and who collects would believe it.
        case 404 where bodyIsObject: return .again("\(words), and not that the object is not there")
        case 404: return .noSuchObject
        case 409: return .conflict
        case 412: return .isThere
        case 416: return .beyondEnd
        case 408, 425, 429: return .again(words)
        case 501, 505:
            return .refused("the store can't do what is asked of it (\(words)): use another one")
        case 507: return .full
        case 500...: return .again(words)
        default: return .refused("the store refuses it (\(words))")
        }
    }
}

extension S3Answer {
    package var isSuccess: Bool { (200..<300).contains(status) }
}
