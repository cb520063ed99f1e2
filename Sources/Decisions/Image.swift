package import Mesh
internal import Planted

extension Decisions {
    /// Everything the decisions remember, as values: what a snapshot holds.
    package struct Image: Hashable, Sendable {
        package struct Session: Hashable, Sendable {
            package let id: SessionID
            package let lastSequence: UInt64
            package init(id: SessionID, lastSequence: UInt64) {
                self.id = id
                self.lastSequence = lastSequence
            }
        }

        package var appliedIndex: LogIndex
        /// By node.
        package var seats: [Seat]
        package var tenure: Tenure
        package var preferred: RegionName?
        /// By id.
        package var volumes: [Volume]
        package var volumesEverCreated: UInt64
        /// By id.
        package var sessions: [Session]
        package var witness: Seat?
        /// Sorted.
        package var learners: [NodeID]
        /// Sorted.
        package var former: [NodeID]
        package var wish: Wish?
        package var level: FeatureLevel
        package var backups: BackupDuty

        package init(
            appliedIndex: LogIndex, seats: [Seat], tenure: Tenure, preferred: RegionName?,
            volumes: [Volume], volumesEverCreated: UInt64, sessions: [Session],
            witness: Seat? = nil, learners: [NodeID] = [], former: [NodeID] = [],
            wish: Wish? = nil, level: FeatureLevel = .first, backups: BackupDuty = BackupDuty()
        ) {
            self.appliedIndex = appliedIndex
            self.seats = seats
            self.tenure = tenure
            self.preferred = preferred
            self.volumes = volumes
            self.volumesEverCreated = volumesEverCreated
            self.sessions = sessions
            (self.witness, self.learners) = (witness, learners)
            (self.former, self.wish) = (former, wish)
            (self.level, self.backups) = (level, backups)
        }
    }

    /// Two equal decisions give equal images, in one order.
    package var image: Image {
        Image(
            appliedIndex: appliedIndex, seats: seats, tenure: tenure, preferred: preferred,
            volumes: volumes, volumesEverCreated: volumesEverCreated,
            sessions: lastSequences.sorted { $0.key < $1.key }
                .map { Image.Session(id: $0.key, lastSequence: $0.value) },
            witness: witness, learners: learners, former: former, wish: wish,
            level: isPlanted(.forgetsLevel) ? .first : level, backups: backups)
    }

    /// Goes on from `image`, which its reader has checked to be lawful.
    package init(restoring image: Image) {
        self.init(seats: image.seats, witness: image.witness)
        (learners, former, wish) = (image.learners, image.former, image.wish)
        (level, backups) = (image.level, image.backups)
        tenure = image.tenure
        preferred = image.preferred
        volumes = image.volumes
        volumesEverCreated = image.volumesEverCreated
        appliedIndex = image.appliedIndex
        lastSequences = Dictionary(
            image.sessions.map { ($0.id, $0.lastSequence) }, uniquingKeysWith: max)
    }
}
