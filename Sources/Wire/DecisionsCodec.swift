package import Decisions
internal import Mesh
internal import SwiftProtobuf

extension Decisions {
    /// Above what the limits on volumes and sessions allow, and small enough for one transfer.
    package static let imageByteCountMax = 4 << 20

    /// The snapshot's contents: equal decisions give equal bytes.
    package var encoded: [UInt8] {
        let image = image
        return DecisionsImage.with {
            $0.appliedIndex = image.appliedIndex.rawValue
            $0.seats = image.seats.map(SeatImage.init)
            $0.members = [MembersImage(image)]
            if image.level > .first {
                $0.members.append(MembersImage())
                $0.level = UInt64(image.level.rawValue)
            }
            if image.backups != BackupDuty() { $0.backups = [BackupsImage(image.backups)] }
            if let tenure = TenureImage(image.tenure) { $0.tenure = tenure }
            $0.preferred = image.preferred?.text ?? ""
            $0.volumes = image.volumes.map(VolumeImage.init)
            $0.volumesEverCreated = image.volumesEverCreated
            $0.sessions = image.sessions.map { session in
                SessionImage.with {
                    ($0.session, $0.lastSequence) = (session.id.rawValue, session.lastSequence)
                }
            }
        }.wireBytes
    }

    package init(parsing bytes: some Collection<UInt8>) throws(PayloadRefused) {
        let image = try DecisionsImage(checked: bytes, limit: Self.imageByteCountMax)
        var seats: [Seat] = []
        for seat in image.seats { seats.append(try Seat(seat)) }
        var volumes: [Volume] = []
        for volume in image.volumes { volumes.append(try Volume(volume)) }
        try Self.checkOrder(seats.map(\.node.rawValue), "seats")
        try Self.checkOrder(volumes.map(\.id.rawValue), "volumes")
        try Self.checkOrder(image.sessions.map(\.session), "sessions")
        try Self.checkCount(volumes.count, Self.volumesMax, "volumes")
        guard Set(volumes.map(\.name)).count == volumes.count else {
            throw .unlawful(field: "volumes", value: "two of one name")
        }
        try Self.checkCount(image.sessions.count, Self.sessionsMax, "sessions")
        try Self.checkNumbers(image)
        let members = try MembersImage(checked: image)
        self.init(
            restoring: Image(
                appliedIndex: LogIndex(image.appliedIndex), seats: seats,
                tenure: image.hasTenure ? try Tenure(image.tenure) : .vacant,
                preferred: image.preferred.isEmpty
                    ? nil : try RegionName(checked: image.preferred),
                volumes: volumes, volumesEverCreated: image.volumesEverCreated,
                sessions: image.sessions.map {
                    Image.Session(id: SessionID($0.session), lastSequence: $0.lastSequence)
                }, witness: members.hasWitness ? try Seat(members.witness) : nil,
                learners: members.learners.map { NodeID($0) },
                former: members.former.map { NodeID($0) },
                wish: members.hasWish ? try Wish(members.wish) : nil,
                level: try FeatureLevel(of: image), backups: try BackupDuty(checked: image)))
    }

    /// One order, no duplicates: two different snapshots never stand for one state.
    static func checkOrder(_ ids: [UInt64], _ field: String) throws(PayloadRefused) {
        for (earlier, later) in zip(ids, ids.dropFirst()) where earlier >= later {
            throw .unlawful(field: field, value: "\(later) after \(earlier)")
        }
    }

    /// All that is counted on from leaves room for it, and no index lies ahead of what was applied.
    private static func checkNumbers(_ image: DecisionsImage) throws(PayloadRefused) {
        func check(_ number: UInt64, _ limit: UInt64, _ field: String) throws(PayloadRefused) {
            guard number <= limit else {
                throw .unlawful(field: field, value: "\(number), above \(limit)")
            }
        }
        let limit = LogIndex.countMax.rawValue
        try check(image.appliedIndex, limit, "applied_index")
        try check(image.volumesEverCreated, limit, "volumes_ever_created")
        // The next volume would get an id that is or was another's.
        try check(image.volumes.last?.id ?? 0, image.volumesEverCreated, "volume id")
        for session in image.sessions { try check(session.lastSequence, limit, "last_sequence") }
        try check(image.tenure.epoch, limit, "tenure.epoch")
        try check(image.tenure.since, image.appliedIndex, "tenure.since")
        let renewed = image.tenure.heldRenewal | image.tenure.relinquishedAt
        try check(renewed, image.appliedIndex, "tenure.state")
    }

    static func checkCount(
        _ count: Int, _ limit: Int, _ field: String
    ) throws(PayloadRefused) {
        guard count <= limit else { throw .unlawful(field: field, value: "\(count) of \(limit)") }
    }
}

extension FeatureLevel {
    /// What keeps older releases from a level is there exactly where there is one.
    fileprivate init(of image: DecisionsImage) throws(PayloadRefused) {
        self = image.level == 0 ? .first : try FeatureLevel(checked: image.level)
        guard image.level != 1, (self > .first) == (image.members.count == 2) else {
            throw .unlawful(field: "level", value: "\(image.level)")
        }
    }
}

extension TenureImage {
    fileprivate init?(_ tenure: Tenure) {
        guard let primary = tenure.primary else { return nil }
        self.init()
        node = primary.node.rawValue
        region = primary.region.text
        epoch = primary.epoch.rawValue
        since = primary.since.rawValue
        switch tenure {
        case .held(_, let renewal): heldRenewal = renewal.rawValue
        case .relinquished(_, let index): relinquishedAt = index.rawValue
        case .vacant: return nil
        }
    }
}

extension Tenure {
    fileprivate init(_ image: TenureImage) throws(PayloadRefused) {
        let primary = Primary(
            node: NodeID(image.node), region: try RegionName(checked: image.region),
            epoch: Epoch(image.epoch), since: LogIndex(image.since))
        switch image.state {
        case .heldRenewal(let index): self = .held(primary, renewal: LogIndex(index))
        case .relinquishedAt(let index): self = .relinquished(primary, at: LogIndex(index))
        case nil: throw .missing(field: "tenure.state")
        }
    }
}

extension VolumeImage {
    fileprivate init(_ volume: Volume) {
        self.init()
        id = volume.id.rawValue
        name = volume.name
        byteCount = volume.byteCount
        durability = volume.durability.mode
    }
}

extension Volume {
    fileprivate init(_ image: VolumeImage) throws(PayloadRefused) {
        guard Decisions.isVolumeName(image.name) else {
            throw .unlawful(field: "volume name", value: image.name.debugDescription)
        }
        guard Decisions.isVolumeByteCount(image.byteCount) else {
            throw .unlawful(field: "volume byte_count", value: String(image.byteCount))
        }
        self.init(
            id: VolumeID(image.id), name: image.name, byteCount: image.byteCount,
            durability: try Durability(image.durability))
    }
}
