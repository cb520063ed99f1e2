package import Mesh

/// Where a mutant is looked for, if not everywhere: the weather and the shape that its bug needs. All
/// others are hunted in all shapes in turn, in any weather.
package struct Hunt: Sendable {
    package let shape: Shape?
    package let faults: Set<Fault>?
    package let lease: Interval?

    package init(shape: Shape? = nil, faults: Set<Fault>? = nil, lease: Interval? = nil) {
        self.shape = shape
        self.faults = faults
        self.lease = lease
    }

    /// Letters of terms that are over arrive, and what they say may matter.
    private static let straggling = Hunt(faults: [.duplication, .cut, .slowLink])
    /// A successor has to wait for it.
    private static let longLease = Hunt(
        faults: [.cut, .slowLink, .pause], lease: .milliseconds(2_500))

    /// Members come and go; with three kinds of faults, each run has all of them.
    private static let recruiting = Hunt(faults: [.members, .kill, .cut])
    /// Disks that lie, and falls that show it.
    private static let rotten = Hunt(
        faults: [.bitRot, .lostWrite, .misdirectedWrite, .powerCut, .kill])

    /// By the mutant's name on the command line.
    package static let special: [String: Hunt] = [
        // The bugs of a witness need one.
        "forgets-one-copy-too-early": Hunt(shape: .twoAndWitness),
        "moves-base-back": Hunt(shape: .twoAndWitness, faults: [.duplication, .reordering]),
        "caretaker-appends": Hunt(shape: .twoAndWitness),
        "takes-held-for-absent": Hunt(shape: .twoAndWitness),
        "starves-witness": Hunt(shape: .twoAndWitness),
        // A sync that failed, and then a power cut before the bytes are written again; more often where the log is
        // mended in between.
        "trusts-cache-after-failed-sync": Hunt(faults: [.syncFailure, .powerCut, .lostWrite]),
        "indexes-before-sync": Hunt(faults: [.powerCut]),
        // The log is on a base, and the images of it still wait for their disk when their sync fails.
        "compacts-before-checkpoint": Hunt(faults: [.diskStall, .syncFailure]),
        "cuts-damage": rotten,
        "skips-frame-checksum": rotten,
        "mends-by-unsafe-rows": rotten,
        // A source that has damage is asked by who copies; a block is written while its bytes come.
        "gives-damaged": Hunt(shape: .three, faults: [.imageRot, .members, .kill]),
        "mends-over-later": Hunt(faults: [.imageRot, .slowLink]),
        // Offers need a hub that alone reaches a majority.
        "takes-any-offer": Hunt(shape: .five, faults: [.cut]),
        "takes-stale-appends": straggling,
        "takes-stale-heartbeats": straggling,
        "keeps-old-matches": Hunt(faults: [.cut, .slowLink]),
        "drifts-beyond-bound": Hunt(shape: .three, faults: [.cut, .pause]),
        "waits-for-half-a-lease": longLease,
        "ignores-renewals": longLease,
        "measures-lease-from-commit": longLease,
        "reuses-member-ids": recruiting,
        "overlooks-cancelling": recruiting,
        "promotes-partial": recruiting,
        "changes-unsettled": recruiting,
        "joiner-founds": recruiting,
        "raises-for-majority": Hunt(faults: [.upgrade, .kill, .cut]),
        "raises-without-witness": Hunt(shape: .twoAndWitness, faults: [.upgrade, .kill, .cut]),
        "forgets-level": Hunt(faults: [.upgrade, .kill, .powerCut]),
        // Two operations of one node have to overtake each other.
        "accepts-repeats": Hunt(faults: [.duplication, .reordering]),
    ]
}
