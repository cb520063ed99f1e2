/// Why an agent does not do what was asked. Mapped to HTTP in `Problem`, and nowhere else.
package enum AdminRefused: Error, Hashable, Sendable {
    case mesh(MeshRefused)
    case node(NodeRefused)
    case volume(VolumeRefused)
    case region(RegionRefused)
    case alarm(AlarmRefused)
    case member(MemberRefused)
    case backup(BackupRefused)
    case snapshot(SnapshotRefusal)
}

/// The mesh cannot decide it, or has decided otherwise.
package enum MeshRefused: Hashable, Sendable {
    case noQuorum(reachable: Int, needed: Int)
    /// Only the acting primary does this; `primary` is the region that the mesh agreed on.
    case notPrimary(primary: String?)
    /// `last` was primary and is not heard any more; who follows is not decided yet.
    case primaryAway(last: String)
    /// It may or may not have happened.
    case timedOut(doing: String, seconds: UInt64)
    /// A later release's; not every member speaks it.
    case levelTooLow(why: String)
    /// The mesh went on while this was being done, so it was not done.
    case overtaken(why: String)
}

/// This node cannot do it.
package enum NodeRefused: Hashable, Sendable {
    /// As in "the node is draining its exports".
    case busy(doing: String)
    /// As in "a witness keeps no volumes".
    case witness(cannot: String)
    case stopping
    /// Its log is damaged: it takes no part in anything until that is mended.
    case mending
    case diskFull(why: String)
    /// The log no longer holds, or does not yet hold, what was asked for.
    case entriesAbsent(first: UInt64, last: UInt64)
    /// A disk or a peer failed: what was done, to what, and the cause.
    case mishap(why: String)
}

package enum VolumeRefused: Hashable, Sendable {
    case exists(name: String)
    case unknown(name: String, known: [String])
    case nameUnlawful(name: String, expected: String)
    case sizeUnlawful(byteCount: UInt64, expected: String)
    case inUse(name: String, clients: Int)
    case shrinks(name: String, from: UInt64, to: UInt64)
    case rangeUnlawful(name: String, expected: String)
    /// Nobody else is heard that has all of it.
    case onlyHere(name: String)
    case tooMany(limit: Int)
}

package enum AlarmRefused: Hashable, Sendable {
    case unknown(name: String, known: [String])
    /// It tells of what is so now, and would come back at once.
    case endsByItself(name: String)
}

package enum RegionRefused: Hashable, Sendable {
    case unknown(name: String, known: [String])
    /// As in "it lags 312 entries behind".
    case notReady(name: String, why: String)
    case isPrimary(name: String)
}
