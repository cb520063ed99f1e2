internal import Glibc
package import Logging

/// How many files this process may hold open: two for each log segment that is kept for a member who
/// is away, one for each volume and each connection.
package enum FileLimit {
    /// Below this a long absence of a member could end the process.
    package static let wanted: UInt64 = 8_192

    /// Raises the limit as far as the system allows, and warns when that is not far.
    package static func raise(_ logger: Logger) {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return
        }
        limit.rlim_cur = limit.rlim_max
        let raised = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard raised != 0 || UInt64(limit.rlim_max) < wanted else { return }
        logger.warning(
            "few files may be open: raise LimitNOFILE",
            metadata: ["limit": "\(limit.rlim_max)", "wanted": "\(wanted)"])
    }
}
