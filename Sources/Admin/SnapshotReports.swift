/// What is asked of a node: to hold on to its volumes as they are now.
package struct SnapshotRequest: Codable, Hashable, Sendable {
    package static let nameByteCountMax = 64

    package var name: String
    /// All of them where none is named.
    package var volumes: [String]

    package init(name: String, volumes: [String] = []) {
        (self.name, self.volumes) = (name, volumes)
    }

    package static func isLawful(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        let plain = { (byte: UInt8) in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        return (1...nameByteCountMax).contains(bytes.count) && plain(bytes[0])
            && bytes.allSatisfy { plain($0) || ".-_".utf8.contains($0) }
    }
}

/// A snapshot that a node holds, or held.
package struct SnapshotReport: Codable, Hashable, Sendable {
    package struct Volume: Codable, Hashable, Sendable {
        package var name: String
        package var byteCount: UInt64
        /// Why it is there no more.
        package var ended: String?

        package init(name: String, byteCount: UInt64, ended: String? = nil) {
            (self.name, self.byteCount, self.ended) = (name, byteCount, ended)
        }
    }

    package var name: String
    /// The last entry of the log that is in it.
    package var index: UInt64
    /// Unix seconds, by the node's clock.
    package var takenAt: UInt64
    package var volumes: [Volume]
    /// Bytes that are kept for it; older ones may need them too.
    package var keptBytes: UInt64
    /// Why it is there no more.
    package var ended: String?
    /// Why what guests had flushed just before may not be in it.
    package var mayLack: String?

    package init(
        name: String, index: UInt64, takenAt: UInt64, volumes: [Volume], keptBytes: UInt64,
        ended: String? = nil, mayLack: String? = nil
    ) {
        (self.name, self.index, self.takenAt) = (name, index, takenAt)
        (self.volumes, self.keptBytes) = (volumes, keptBytes)
        (self.ended, self.mayLack) = (ended, mayLack)
    }
}

package struct SnapshotsReport: Codable, Hashable, Sendable {
    package var roomBytes: UInt64
    package var usedBytes: UInt64
    /// Those that are held, the oldest first, then those that ended.
    package var snapshots: [SnapshotReport]

    package init(roomBytes: UInt64, usedBytes: UInt64, snapshots: [SnapshotReport]) {
        (self.roomBytes, self.usedBytes, self.snapshots) = (roomBytes, usedBytes, snapshots)
    }
}

/// One volume of a snapshot, as who serves it has to know it.
package struct SnapshotShapeReport: Codable, Hashable, Sendable {
    /// No other snapshot has these, whatever its name: what is read by them is always of this one.
    package var snapshot: UInt64
    package var volume: UInt64
    package var index: UInt64
    package var byteCount: UInt64
    /// Where each stretch begins and ends that may hold anything, in order; all else reads zero.
    package var held: [UInt64]

    package init(
        snapshot: UInt64, volume: UInt64, index: UInt64, byteCount: UInt64, held: [UInt64]
    ) {
        (self.snapshot, self.volume, self.index) = (snapshot, volume, index)
        (self.byteCount, self.held) = (byteCount, held)
    }

    /// More would be a longer answer than a client takes.
    package static let stretchesMax = 65_536

    /// Neighbours are joined where they are too many: zeros are read then, which costs time alone.
    package static func joined(_ ranges: [Range<UInt64>]) -> [UInt64] {
        let step = (ranges.count + stretchesMax - 1) / max(stretchesMax, 1)
        return stride(from: 0, to: ranges.count, by: max(step, 1)).flatMap { at in
            let last = ranges[min(at + step, ranges.count) - 1]
            return [ranges[at].lowerBound, last.upperBound]
        }
    }
}

/// A part of one volume of a snapshot.
package struct SnapshotRead: Hashable, Sendable {
    package static let byteCountMax: UInt64 = 512 << 10

    package var snapshot: UInt64
    package var volume: UInt64
    package var from: UInt64
    package var to: UInt64

    package init(snapshot: UInt64, volume: UInt64, from: UInt64, to: UInt64) {
        (self.snapshot, self.volume, self.from, self.to) = (snapshot, volume, from, to)
    }
}

package enum SnapshotRefusal: Hashable, Sendable {
    case notConfigured
    case nameUnlawful(String)
    case exists(name: String)
    case tooMany(limit: Int)
    case unknown(name: String, known: [String])
    /// It is there, and the volume is not in it.
    case volumeAbsent(snapshot: String, volume: String)
    /// It is there no more.
    case ended(why: String)
    case incomplete(why: String)
    /// Its bytes are not what they were.
    case damaged(at: UInt64)
    case outOfRange
}

extension Problem {
    init(_ refused: SnapshotRefusal) {
        switch refused {
        case .notConfigured:
            self.init(
                "snapshots-not-configured", 409, "This node holds no snapshots",
                "Its file gives them no room.",
                "Put snapshots: {room: 10G} into the node's file and start it again; see docs/snapshots.md."
            )
        case .nameUnlawful(let name):
            self.init(
                "snapshot-name", 422, "Not a snapshot's name",
                "\(name.debugDescription) is not 1 to \(SnapshotRequest.nameByteCountMax) of a-z 0-9 . _ -, "
                    + "beginning with a letter or digit.", "Choose such a name.")
        case .exists(let name):
            self.init(
                "snapshot-exists", 409, "The snapshot exists",
                "There is, or was, a snapshot \(name).",
                "Choose another name, or `holdfast snapshot delete \(name)` first.")
        case .tooMany(let limit):
            self.init(
                "too-many-snapshots", 409, "Too many snapshots",
                "This node holds \(counted(limit, "snapshot")), and no more are held at once.",
                "Delete one that is no longer needed.")
        case .unknown(let name, let known):
            self.init(
                "snapshot-unknown", 404, "No such snapshot",
                "This node has no snapshot \(name).",
                known.isEmpty
                    ? "It has none; a snapshot is on the node that was asked for it."
                    : "Use one of: \(known.joined(separator: ", ")).")
        case .volumeAbsent(let snapshot, let volume):
            self.init(
                "snapshot-without-volume", 404, "The volume is not in the snapshot",
                "Snapshot \(snapshot) holds no volume \(volume).",
                "See `holdfast snapshot list` for those it holds.")
        case .ended(let why):
            self.init(
                "snapshot-ended", 410, "The snapshot is there no more", "It ended: \(why).",
                "`holdfast snapshot delete` takes it off the list; look for a backup of that time.")
        case .incomplete(let why):
            self.init(
                "replica-incomplete", 503, "This node can hold no snapshot now", "\(why).",
                "Ask another data member, or wait until `holdfast status` shows no resync here.")
        case .damaged(let offset):
            self.init(
                "snapshot-damaged", 500, "These bytes are not what they were",
                "The block at \(offset) does not pass its checksum, or did not when it was written over.",
                "Read around it; other blocks are not concerned.")
        case .outOfRange:
            self.init(
                "snapshot-range", 422, "That is no part of the volume",
                "It ends before, or more than \(SnapshotRead.byteCountMax) bytes were asked for.",
                "Ask for less.")
        }
    }
}
