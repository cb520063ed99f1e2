package import Backup

/// Why a mount can't do what it was asked.
package enum MountFailure: Error, Sendable, CustomStringConvertible {
    /// What lies below can't be read.
    case below(BackupFailure)
    /// There is no room for what clients write.
    case full(String)
    case overlay(String)
    case socket(String)

    package var description: String {
        switch self {
        case .below(let failure): "\(failure)"
        case .full(let path):
            "\(path) has no room left for what is written: name a place with more of it by --overlay"
        case .overlay(let words), .socket(let words): words
        }
    }
}
