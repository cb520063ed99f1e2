package import Mesh
internal import Planted

/// What the mesh has agreed on: a deterministic function of the committed log.
///
/// Every node applies the same entries in the same order and holds the same value. It knows no
/// time but that of the entry: an age enters only as an entry that names what it was measured from.
package struct Decisions: Hashable, Sendable {
    package static let volumesMax = 1_024
    package static let volumeNameBytesMax = 63
    package static let volumeGrain: UInt64 = 4_096
    package static let volumeByteCountMax: UInt64 = 1 << 43
    package static let sessionsMax = 4_096

    /// A member that can be primary.
    package struct Seat: Hashable, Sendable {
        package let node: NodeID
        package let region: RegionName
        package init(node: NodeID, region: RegionName) {
            self.node = node
            self.region = region
        }
    }

    /// The part of an entry that decisions look at.
    package struct Step: Hashable, Sendable {
        package let index: LogIndex
        /// Shown by whoever proposed; `.zero` where the entry needs no primary.
        package let epoch: Epoch
        package let session: SessionID
        package let sequence: UInt64
        /// Of the entry, as its leader's clock had it; never behind the one before.
        package let time: WallTime
        package let deed: Deed

        package init(
            index: LogIndex, epoch: Epoch, session: SessionID = .none, sequence: UInt64 = 0,
            time: WallTime = .zero, deed: Deed
        ) {
            self.time = time
            self.index = index
            self.epoch = epoch
            self.session = session
            self.sequence = sequence
            self.deed = deed
        }
    }

    package enum Deed: Hashable, Sendable {
        /// A blank entry: with an epoch it is a renewal, without one it is nothing.
        case blank
        /// A write or stream record: accepted only in the present epoch.
        case record
        case command(Command)
        case membership(Roll)
    }

    package internal(set) var tenure: Tenure = .vacant
    package internal(set) var preferred: RegionName?
    /// Sorted by id; ids are never used twice.
    package internal(set) var volumes: [Volume] = []
    package internal(set) var appliedIndex: LogIndex = .zero
    /// Who can be primary, by node.
    package internal(set) var seats: [Seat]
    /// Whether it votes or stands by.
    package internal(set) var witness: Seat?
    package internal(set) var learners: [NodeID] = []
    /// Who was a member once, sorted: none of them ever is again.
    package internal(set) var former: [NodeID] = []
    package internal(set) var wish: Wish?
    /// What every member speaks: agreed on in the log, and never lowered.
    package internal(set) var level = FeatureLevel.first
    package internal(set) var backups = BackupDuty()
    var volumesEverCreated: UInt64 = 0
    var lastSequences: [SessionID: UInt64] = [:]

    package init(seats: [Seat], witness: Seat? = nil) {
        self.seats = seats.sorted { $0.node < $1.node }
        self.witness = witness
    }

    /// The number that `session` last used up; 0 when it never did.
    package func lastSequence(of session: SessionID) -> UInt64 { lastSequences[session] ?? 0 }

    /// Applies the entry at `step.index`, which must be the one after the last applied.
    package mutating func apply(_ step: Step) -> Outcome {
        invariant(
            step.index == appliedIndex.next,
            "entry \(step.index) applied after entry \(appliedIndex)")
        appliedIndex = step.index
        do throws(Refusal) {
            try admit(step.session, step.sequence)
            return try carryOut(step)
        } catch {
            return .refused(error)
        }
    }

    /// Raft thesis §6.3, strict: a session goes on with the number after its last, or not at all.
    /// The number is used up even when the deed itself is refused, since the client got an answer.
    private mutating func admit(_ session: SessionID, _ sequence: UInt64) throws(Refusal) {
        guard session != .none else { return }
        let last = lastSequences[session] ?? 0
        if sequence <= last, isPlanted(.acceptsRepeats) { return }
        guard sequence > last else { throw .duplicate(session: session, sequence: sequence) }
        guard sequence == last + 1 else {
            throw .gap(session: session, expected: last + 1, offered: sequence)
        }
        guard last > 0 || lastSequences.count < Self.sessionsMax else {
            throw .tooManySessions(limit: Self.sessionsMax)
        }
        lastSequences[session] = sequence
    }

    private mutating func carryOut(_ step: Step) throws(Refusal) -> Outcome {
        if case .command(let command) = step.deed, command.level > level {
            throw .levelTooLow(mesh: level, needed: command.level)
        }
        return switch step.deed {
        case .blank: step.epoch == .zero ? .nothing : try renew(step)
        case .record: try renew(step)
        case .membership(let roll): enroll(roll, at: step.index)
        case .command(.promote(let node, let epoch, let warrant)):
            try promote(node, epoch, warrant, at: step.index)
        case .command(.relinquish(let epoch)): try relinquish(epoch, at: step.index)
        case .command(.createVolume(let name, let byteCount, let durability)):
            try createVolume(name, byteCount, durability)
        case .command(.deleteVolume(let id)): try deleteVolume(id)
        case .command(.growVolume(let id, let byteCount)): try growVolume(id, byteCount)
        case .command(.prefer(let region)): try prefer(region)
        case .command(.changeMembers(let change)): try wish(change, at: step.index)
        case .command(.cancelMembers): try cancelWish()
        case .command(.raiseLevel(let next)): try raise(to: next)
        case .command(.backup(let news)): try note(news, step)
        }
    }

    /// One after the other, for each step has members that speak no more than it.
    private mutating func raise(to next: FeatureLevel) throws(Refusal) -> Outcome {
        guard next > level else { throw .levelReached(level) }
        level = next
        return .levelRaised(next)
    }

    /// A deposed primary's entry may commit late, behind its successor's promotion: its epoch is
    /// then not the present one, and it neither renews nor writes.
    private mutating func renew(_ step: Step) throws(Refusal) -> Outcome {
        guard case .held(let primary, _) = tenure, primary.epoch == step.epoch else {
            throw .staleEpoch(current: tenure.epoch, offered: step.epoch)
        }
        tenure = .held(primary, renewal: step.index)
        return .renewed(primary.epoch)
    }

    private mutating func promote(
        _ node: NodeID, _ epoch: Epoch, _ warrant: Warrant, at index: LogIndex
    ) throws(Refusal) -> Outcome {
        guard epoch == tenure.epoch.next else {
            throw .staleEpoch(current: tenure.epoch, offered: epoch)
        }
        guard let seat = seats.first(where: { $0.node == node }) else { throw .unknownNode(node) }
        try check(warrant)
        let primary = Primary(node: node, region: seat.region, epoch: epoch, since: index)
        // The promotion itself renews nothing: its successor must wait a whole lease from here all
        // the same, because the promoted may propose a renewal right behind it.
        tenure = .held(primary, renewal: index)
        return .promoted(primary)
    }

    private func check(_ warrant: Warrant) throws(Refusal) {
        switch (warrant, tenure) {
        case (.firstPrimary, .vacant): return
        case (.leaseEnded(let measured), .held(_, let renewal)):
            guard measured == renewal else {
                throw .leaseRenewedSince(measured: measured, latest: renewal)
            }
        case (.relinquished(let claimed), .relinquished(_, let index)) where claimed == index:
            return
        default: throw .noSuchWarrant(warrant)
        }
    }

    private mutating func relinquish(
        _ epoch: Epoch, at index: LogIndex
    ) throws(Refusal) -> Outcome {
        guard case .held(let primary, _) = tenure, primary.epoch == epoch else {
            throw .staleEpoch(current: tenure.epoch, offered: epoch)
        }
        tenure = .relinquished(primary, at: index)
        return .relinquished(primary)
    }

    private mutating func createVolume(
        _ name: String, _ byteCount: UInt64, _ durability: Durability
    ) throws(Refusal) -> Outcome {
        guard Self.isVolumeName(name) else { throw .volumeName(name) }
        guard Self.isVolumeByteCount(byteCount) else { throw .volumeByteCount(byteCount) }
        guard !volumes.contains(where: { $0.name == name }) else { throw .volumeExists(name) }
        guard volumes.count < Self.volumesMax else {
            throw .tooManyVolumes(limit: Self.volumesMax)
        }
        volumesEverCreated += 1
        let volume = Volume(
            id: VolumeID(
                isPlanted(.reusesVolumeIds) ? UInt64(volumes.count) + 1 : volumesEverCreated),
            name: name, byteCount: byteCount,
            durability: durability)
        volumes.append(volume)
        return .created(volume)
    }

    private mutating func deleteVolume(_ id: VolumeID) throws(Refusal) -> Outcome {
        guard let place = volumes.firstIndex(where: { $0.id == id }) else {
            throw .volumeUnknown(id)
        }
        return .deleted(volumes.remove(at: place))
    }

    private mutating func growVolume(
        _ id: VolumeID, _ byteCount: UInt64
    ) throws(Refusal) -> Outcome {
        guard let place = volumes.firstIndex(where: { $0.id == id }) else {
            throw .volumeUnknown(id)
        }
        let old = volumes[place]
        guard Self.isVolumeByteCount(byteCount) else { throw .volumeByteCount(byteCount) }
        guard byteCount >= old.byteCount else {
            throw .volumeShrinks(name: old.name, from: old.byteCount, to: byteCount)
        }
        volumes[place] = Volume(
            id: id, name: old.name, byteCount: byteCount, durability: old.durability)
        return .grown(volumes[place])
    }

    private mutating func prefer(_ region: RegionName) throws(Refusal) -> Outcome {
        guard seats.contains(where: { $0.region == region }) else { throw .unknownRegion(region) }
        preferred = region
        return .preferred(region)
    }

    package static func isVolumeByteCount(_ byteCount: UInt64) -> Bool {
        byteCount % volumeGrain == 0 && (volumeGrain...volumeByteCountMax).contains(byteCount)
    }

    /// The name becomes a socket's file name, so nothing that a path could be made of is lawful.
    package static func isVolumeName(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard (1...volumeNameBytesMax).contains(bytes.count), let first = bytes.first else {
            return false
        }
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        return isAlphanumeric(first)
            && bytes.allSatisfy { isAlphanumeric($0) || [0x2d, 0x2e, 0x5f].contains($0) }
    }
}
