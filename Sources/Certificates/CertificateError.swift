internal import Glibc
package import Mesh

/// Why a certificate was not made, read or renewed.
package enum CertificateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Never overwritten unless asked to: a key lost is a node lost, an authority lost is a mesh lost.
    case exists(path: String)
    case file(path: String, doing: String, errno: Int32)
    case unreadable(path: String, why: String)
    case unnamed(PeerName.Refused)
    case addressMisspelled(String)
    case daysOutOfRange(Int)
    case notMade(why: String)

    package var description: String {
        switch self {
        case .exists(let path): "\(path) exists and is left as it is"
        case .file(let path, let doing, let errno):
            "cannot \(doing) \(path): \(unsafe String(cString: strerror(errno)))"
        case .unreadable(let path, let why): "\(path) cannot be understood: \(why)"
        case .unnamed(.absent): "the certificate carries no \(PeerName.scheme) name"
        case .unnamed(.several): "the certificate carries several \(PeerName.scheme) names"
        case .unnamed(.misspelled(let text)): "the certificate's name \(text) is misspelled"
        case .addressMisspelled(let text): "\(text) is neither an IP address nor a host name"
        case .daysOutOfRange(let days):
            "\(days) days are not within 1...\(Authority.nodeDaysMax)"
        case .notMade(let why): "the certificate was not made: \(why)"
        }
    }
}
