internal import Admin
internal import Mesh

/// Of what goes to the repository between backups, and of the key that it is sealed by.
extension Sight {
    package struct Shipping: Hashable, Sendable {
        /// How many seconds old the first write is that is not there; nil where that is not known.
        package let behind: UInt64?
        /// Why the newest turn stored nothing.
        package let failure: String?
        /// Unix seconds.
        package let failingSince: UInt64?
        /// Seconds.
        package let lateAfter: UInt64

        package init(
            behind: UInt64?, failure: String?, failingSince: UInt64?, lateAfter: UInt64
        ) {
            (self.behind, self.failure) = (behind, failure)
            (self.failingSince, self.lateAfter) = (failingSince, lateAfter)
        }
    }

    /// A key that is older than it may get, and why no other took its place.
    package struct Rotation: Hashable, Sendable {
        /// Unix seconds: when it was first used.
        package let since: UInt64
        package let failure: String

        package init(since: UInt64, failure: String) {
            (self.since, self.failure) = (since, failure)
        }
    }

    /// Why locks of objects could not be extended.
    package struct Locks: Hashable, Sendable {
        /// Unix seconds.
        package let failingSince: UInt64
        package let failure: String

        package init(failingSince: UInt64, failure: String) {
            (self.failingSince, self.failure) = (failingSince, failure)
        }
    }

    var lockAlarms: [Alarm] {
        guard let locks else { return [] }
        return [
            alarm(
                .locksNotExtended, .warning, since: locks.failingSince,
                "the locks of what backups rest on could not be extended, and will run out: \(locks.failure)",
                do:
                    "see to that, then `holdfast repository extend-locks`; \"Locked objects\" in docs/backups.md "
                    + "says what the credentials have to be allowed")
        ]
    }

    var shippingAlarms: [Alarm] {
        guard let shipping else { return [] }
        let failingSince = shipping.failingSince ?? now
        let since = shipping.behind.map { now - min($0, now) } ?? failingSince
        guard now - min(since, now) >= shipping.lateAfter else { return [] }
        let what =
            shipping.behind == nil
            ? "the log has not been shipped to the repository since \(utc(since))"
            : "the log is shipped late: what was written since \(utc(since)) is not in the repository"
        return [
            alarm(
                .logShippingLate, .warning, since: since,
                what + (shipping.failure.map { ": \($0)" } ?? "")
                    + "; a disaster that takes every region would cost it",
                do:
                    "see to the store and the way to it; where it takes what comes, only slower than guests "
                    + "write, give it a faster one. docs/backups.md lists what is said there")
        ]
    }

    var rotationAlarms: [Alarm] {
        guard let rotation else { return [] }
        return [
            alarm(
                .keyNotRotated, .warning,
                "the key of backups is in use since \(utc(rotation.since)), longer than it may be, and could "
                    + "not be rotated: \(rotation.failure)",
                do:
                    "backups go on, sealed by the old key; run `holdfast repository rotate` where all keys "
                    + "are, see \"Keys\" in docs/backups.md")
        ]
    }
}
