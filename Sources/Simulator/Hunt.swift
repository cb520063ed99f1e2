/// Where a mutant is looked for, if not everywhere: the weather and the shape that its bug needs. All
/// others are hunted in all shapes in turn, in any weather.
package struct Hunt: Sendable {
    package let shape: Shape?
    package let faults: Set<Fault>?

    package init(shape: Shape? = nil, faults: Set<Fault>? = nil) {
        self.shape = shape
        self.faults = faults
    }

    /// By the mutant's name on the command line.
    package static let special: [String: Hunt] = [
        // The bugs of a witness need one.
        "forgets-one-copy-too-early": Hunt(shape: .twoAndWitness),
        "moves-base-back": Hunt(shape: .twoAndWitness, faults: [.duplication, .reordering]),
        "caretaker-appends": Hunt(shape: .twoAndWitness),
        "takes-held-for-absent": Hunt(shape: .twoAndWitness),
        "starves-witness": Hunt(shape: .twoAndWitness),
        // A sync that failed, and then a power cut before the bytes are written again.
        "trusts-cache-after-failed-sync": Hunt(faults: [.syncFailure, .powerCut]),
        // Two operations of one node have to overtake each other.
        "accepts-repeats": Hunt(faults: [.duplication, .reordering]),
    ]
}
