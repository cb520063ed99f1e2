package import Mesh
package import Sealing

/// What one backup is: which volumes, as of which place in the log, and where each one's map begins.
/// It comes last: what no manifest leads to is no backup.
///
/// docs/formats/repository.md, "Manifests".
package struct Manifest: Hashable, Sendable {
    package static let version: UInt32 = 2
    package static let volumesMax = 1 << 12
    package static let nameByteCountMax = 255
    /// 20 GiB of state, in pieces of 1 MiB.
    package static let piecesMax = 20 << 10
    /// No manifest is larger.
    package static let byteCountMax = 8 << 20

    package enum Kind: UInt8, Sendable, CaseIterable, CustomStringConvertible {
        /// All cells were read.
        case full = 1
        /// Only those were read of which the log said that they had changed.
        case incremental = 2

        package var description: String {
            switch self {
            case .full: "full"
            case .incremental: "incremental"
            }
        }
    }

    /// What a guest finds that is started from it.
    package enum Consistency: UInt8, Sendable, CaseIterable, CustomStringConvertible {
        /// What it would find after a power cut.
        case crash = 1
        /// What its programs had put in order for this moment.
        case application = 2

        package var description: String {
            switch self {
            case .crash: "crash-consistent"
            case .application: "application-consistent"
            }
        }
    }

    /// A write to a volume, by the opening in which it was asked and its number there; of a volume that was never written,
    /// zeros.
    package struct WriteMark: Hashable, Sendable {
        package let generation: UInt64
        package let number: UInt64

        package init(generation: UInt64, number: UInt64) {
            (self.generation, self.number) = (generation, number)
        }
    }

    package struct Volume: Hashable, Sendable {
        package let id: VolumeID
        package let name: String
        package let isSync: Bool
        /// The last write that is in it: a log that goes on from here may hold it once more.
        package let lastWrite: WriteMark
        package let map: VolumeMap

        /// nil for a name that is empty or too long, or leads out of a directory: it becomes a file's.
        package init?(
            id: VolumeID, name: String, isSync: Bool, lastWrite: WriteMark, map: VolumeMap
        ) {
            guard (1...Manifest.nameByteCountMax) ~= name.utf8.count, name != ".", name != "..",
                !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(0)
            else { return nil }
            (self.id, self.name, self.isSync) = (id, name, isSync)
            (self.lastWrite, self.map) = (lastWrite, map)
        }
    }

    /// Counts a tenant's manifests from 1.
    package let sequence: UInt64
    /// Of the manifest before it; of the first one's, of nothing.
    package let predecessor: Digest
    package let kind: Kind
    package let consistency: Consistency
    package let cluster: ClusterID
    package let group: GroupID
    /// All entries up to here are in it, and none above.
    package let position: Position
    /// The primary's epoch at that place.
    package let epoch: Epoch
    /// The leader's wall time there, in nanoseconds since 1970.
    package let time: UInt64
    /// In the order of their ids.
    package let volumes: [Volume]
    /// The decisions as of that place, piece by piece.
    package let state: [Digest]

    /// The one behind `former`. More volumes, or more of a state, than `volumesMax` and `piecesMax` are bugs of the
    /// caller, who knows before anything is stored; so are volumes that are not in the order of their ids.
    package init(
        after former: ManifestObject?, kind: Kind, consistency: Consistency,
        cluster: ClusterID, group: GroupID, position: Position, epoch: Epoch, time: UInt64,
        volumes: [Volume], state: [Digest]
    ) {
        invariant(
            volumes.count <= Self.volumesMax && state.count <= Self.piecesMax,
            "\(volumes.count) volumes, \(state.count) pieces of state")
        invariant(
            zip(volumes, volumes.dropFirst()).allSatisfy { $0.id < $1.id },
            "volumes in the order of their ids")
        self.init(
            sequence: (former?.manifest.sequence ?? 0) + 1,
            predecessor: former?.digest ?? .ofNothing, kind: kind, consistency: consistency,
            cluster: cluster, group: group, position: position, epoch: epoch, time: time,
            volumes: volumes, state: state)
    }

    /// A copy of another repository's, whose volumes and state were stored anew. That `former` has no lower number is a bug of the
    /// caller.
    package init(
        copying other: Manifest, after former: ManifestObject?, volumes: [Volume], state: [Digest]
    ) {
        invariant(
            (former?.manifest.sequence ?? 0) < other.sequence && state.count <= Self.piecesMax,
            "copies in the order of their numbers")
        self.init(
            sequence: other.sequence, predecessor: former?.digest ?? .ofNothing, kind: other.kind,
            consistency: other.consistency, cluster: other.cluster, group: other.group,
            position: other.position, epoch: other.epoch, time: other.time, volumes: volumes,
            state: state)
    }

    fileprivate init(
        sequence: UInt64, predecessor: Digest, kind: Kind, consistency: Consistency,
        cluster: ClusterID, group: GroupID, position: Position, epoch: Epoch, time: UInt64,
        volumes: [Volume], state: [Digest]
    ) {
        (self.sequence, self.predecessor, self.kind) = (sequence, predecessor, kind)
        (self.consistency, self.cluster, self.group) = (consistency, cluster, group)
        self.position = position
        (self.epoch, self.time, self.volumes, self.state) = (epoch, time, volumes, state)
    }
}

/// A manifest that is whole, and will never change.
package struct ManifestObject: Sendable {
    package let manifest: Manifest
    package let bytes: [UInt8]
    /// Of all its bytes: what its successor calls it.
    package let digest: Digest
    /// By whose key it is sealed.
    package let epoch: KeyEpoch

    /// Seals `manifest`. `random` is drawn for it.
    package init(
        sealing manifest: Manifest, in place: SealedPlace, random: Salt
    ) throws(ObjectDamage) {
        let bytes = SealedWords.seal(manifest.words, as: .manifest, in: place, random: random)
        try self.init(bytes, for: place)
        guard self.manifest == manifest else { throw .contents("it reads as another manifest") }
    }

    /// Reads the manifest that `bytes` are, all of them.
    package init(_ bytes: [UInt8], for place: SealedPlace) throws(ObjectDamage) {
        let words = try SealedWords.open(
            bytes, as: .manifest, atMost: Manifest.byteCountMax, for: place)
        manifest = try Manifest(parsing: words)
        (self.bytes, epoch) = (bytes, place.key.epoch)
        digest = Digest(of: bytes.span)
    }
}

extension Manifest {
    fileprivate var words: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: Self.version)
        bytes.append(contentsOf: [kind.rawValue, consistency.rawValue, 0, 0])
        bytes.append(littleEndian: sequence)
        predecessor.append(to: &bytes)
        bytes.append(littleEndian: [cluster.high, cluster.low])
        bytes.append(name: group)
        bytes.append(name: position.index)
        bytes.append(name: position.term)
        bytes.append(name: epoch)
        bytes.append(littleEndian: time)
        bytes.append(littleEndian: UInt32(volumes.count))
        for volume in volumes { volume.append(to: &bytes) }
        bytes.append(littleEndian: UInt32(state.count))
        for piece in state { piece.append(to: &bytes) }
        return bytes
    }

    fileprivate init(parsing words: [UInt8]) throws(ObjectDamage) {
        self = try ObjectDamage.reading(orCutOff: "it is cut off") {
            var reader = ByteReader(words)
            let version = try reader.u32()
            guard version == Self.version else { throw ObjectDamage.unknownVersion(version) }
            let kind = Kind(rawValue: try reader.u8())
            let consistency = Consistency(rawValue: try reader.u8())
            let rest = try reader.u16()
            guard let kind, let consistency, rest == 0 else {
                throw ObjectDamage.contents("it is of no known kind")
            }
            let sequence = try reader.u64()
            let predecessor = try Digest(parsing: &reader)
            let cluster = ClusterID(high: try reader.u64(), low: try reader.u64())
            let group: GroupID = try reader.name()
            let index: LogIndex = try reader.name()
            let term: Term = try reader.name()
            let epoch: Epoch = try reader.name()
            let time = try reader.u64()
            let isFirst = sequence == 1
            guard sequence > 0, sequence <= LogIndex.countMax.rawValue, index <= .countMax,
                term <= .countMax, epoch <= .countMax, !isFirst || predecessor == .ofNothing
            else { throw ObjectDamage.contents("it counts what nothing counts") }
            return Manifest(
                sequence: sequence, predecessor: predecessor, kind: kind, consistency: consistency,
                cluster: cluster, group: group, position: Position(index: index, term: term),
                epoch: epoch,
                time: time, volumes: try Self.volumes(&reader), state: try Self.pieces(&reader))
        }
    }

    private static func volumes(_ reader: inout ByteReader) throws -> [Volume] {
        let count = Int(try reader.u32())
        guard count <= volumesMax else {
            throw ObjectDamage.contents("it counts \(count) volumes")
        }
        let volumes = try (0..<count).map { _ in try Volume(parsing: &reader) }
        guard zip(volumes, volumes.dropFirst()).allSatisfy({ $0.id < $1.id }) else {
            throw ObjectDamage.contents("its volumes are not in the order of their ids")
        }
        return volumes
    }

    /// What follows the last piece is the padding of the object.
    private static func pieces(_ reader: inout ByteReader) throws -> [Digest] {
        let count = Int(try reader.u32())
        guard count <= piecesMax else {
            throw ObjectDamage.contents("it counts \(count) pieces of state")
        }
        let pieces = try (0..<count).map { _ in try Digest(parsing: &reader) }
        guard try reader.take(reader.remaining)[...].isZero else {
            throw ObjectDamage.contents("it says more than a manifest says")
        }
        return pieces
    }
}

extension Manifest.Volume {
    fileprivate func append(to bytes: inout [UInt8]) {
        bytes.append(name: id)
        bytes.append(littleEndian: map.shape.byteCount)
        bytes.append(littleEndian: UInt32(map.shape.cellByteCount))
        let (state, top): (UInt8, Digest) =
            switch map.top {
            case .hole: (0, .ofNothing)
            case .zeros: (1, .ofNothing)
            case .stored(let id): (2, id)
            }
        bytes.append(contentsOf: [state, isSync ? 1 : 0, UInt8(name.utf8.count), 0])
        top.append(to: &bytes)
        bytes.append(littleEndian: [lastWrite.generation, lastWrite.number])
        bytes.append(contentsOf: name.utf8)
    }

    fileprivate init(parsing reader: inout ByteReader) throws {
        let id: VolumeID = try reader.name()
        let byteCount = try reader.u64()
        let cellByteCount = UInt64(try reader.u32())
        let (state, isSync) = (try reader.u8(), try reader.u8())
        let (nameByteCount, rest) = (try reader.u8(), try reader.u8())
        let top = try Digest(parsing: &reader)
        let lastWrite = Manifest.WriteMark(
            generation: try reader.u64(), number: try reader.u64())
        let name = String(validating: try reader.take(Int(nameByteCount)), as: UTF8.self)
        guard let shape = VolumeShape(byteCount: byteCount, cellByteCount: cellByteCount),
            let slot = Self.slot(state, top), isSync < 2, rest == 0, let name,
            let volume = Self(
                id: id, name: name, isSync: isSync == 1, lastWrite: lastWrite,
                map: VolumeMap(shape, top: slot))
        else { throw ObjectDamage.contents("volume \(id) in it is like no volume") }
        self = volume
    }

    private static func slot(_ state: UInt8, _ top: Digest) -> Slot? {
        switch state {
        case 0 where top == .ofNothing: .hole
        case 1 where top == .ofNothing: .zeros
        case 2: .stored(top)
        default: nil
        }
    }
}
