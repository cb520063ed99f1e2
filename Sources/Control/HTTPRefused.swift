package import Admin

/// Why a request never reached the door.
package enum HTTPRefused: Error, Hashable, Sendable {
    case malformed(why: String)
    case headTooLong
    case bodyTooLong
    case pathUnknown(String)
    case methodUnlawful(String, allowed: [String])
    /// The process at the other end belongs to neither root nor the node's own user.
    case stranger(user: UInt32, owner: UInt32)
    case crowded(limit: Int)
    case lateRequest
    case lateAnswer(seconds: Int64)
}

extension Problem {
    package init(_ refused: HTTPRefused) {
        switch refused {
        case .malformed(let why):
            self.init(
                "malformed", 400, "The request cannot be read", why,
                "Send HTTP/1.1 with a JSON body as docs/operations.md shows.")
        case .headTooLong:
            self.init(
                "head-too-long", 431, "The request's head is too long",
                "A target may have \(ControlLimits.targetBytesMax) bytes, the head "
                    + "\(ControlLimits.headersMax) fields and \(ControlLimits.headerBytesMax) "
                    + "bytes.", "Send fewer or shorter fields.")
        case .bodyTooLong:
            self.init(
                "body-too-long", 413, "The request's body is too long",
                "A body may have \(ControlLimits.bodyBytesMax) bytes.", "Send a shorter one.")
        case .pathUnknown(let path):
            self.init(
                "path-unknown", 404, "Nothing is here", "\(path) is no path of this socket.",
                "See docs/operations.md for the paths.")
        case .methodUnlawful(let method, let allowed):
            self.init(
                "method-unlawful", 405, "This path does not take that method",
                "\(method) is not taken here.", "Use \(allowed.joined(separator: " or ")).")
        case .stranger(let user, let owner):
            self.init(
                "stranger", 403, "You may not use this socket",
                "User id \(user) is neither root nor \(owner), the user of this node.",
                "Run the command as root or as the node's user.")
        case .crowded(let limit):
            self.init(
                "crowded", 503, "Too many connections", "\(limit) connections are open.",
                "Close some, or ask again in a moment.")
        case .lateRequest:
            self.init(
                "late-request", 408, "The request did not arrive in time",
                "The connection stood open without a whole request.", "Send the request at once.")
        case .lateAnswer(let seconds):
            self.init(
                AdminRefused.mesh(.timedOut(doing: "asking the node", seconds: UInt64(seconds))))
        }
    }
}
