internal import Mesh
internal import Record
internal import Repository
internal import Sealing

extension FuzzTarget {
    static let repository = [
        FuzzTarget(
            "pack", byteCountMax: 1_024, seeds: { try RepositorySamples.packs() }, body: pack),
        FuzzTarget(
            "index-segment", byteCountMax: 1_024, seeds: { RepositorySamples.indexes }, body: index),
        FuzzTarget(
            "map-node", byteCountMax: 1_024, seeds: { RepositorySamples.nodes }, body: node),
        FuzzTarget(
            "backup", byteCountMax: 1_024, seeds: { RepositorySamples.manifests }, body: backup),
        FuzzTarget(
            "stretch", byteCountMax: 2_048, seeds: { RepositorySamples.stretches }, body: stretch),
        FuzzTarget(
            "statement", byteCountMax: 1_024, seeds: { RepositorySamples.statements },
            body: statement),
        FuzzTarget("ring", byteCountMax: 1_024, seeds: { RepositorySamples.rings }, body: ring),
    ]

    /// What a pack's list says is there, whole, and as long as it says; or the blob is refused.
    private static func pack(_ bytes: [UInt8]) throws -> Verdict {
        let told = ToldObject(bytes)
        let object = told.sealed(as: .pack, binding: 44)
        guard let pack = try? PackReader(object, for: ToldObject.place) else { return .refused }
        let end = pack.blobs.last.map { $0.offset + $0.blob.sealedByteCount }
        try promise(end.map { $0 <= object.count } ?? true, "no blob reaches behind its pack")
        let tail = try PackDirectory(
            head: object, tail: object, of: object.count, for: ToldObject.place)
        try promise(tail.blobs == pack.blobs, "a pack's ends tell what it holds")
        var isWhole = true
        for blob in pack.blobs {
            guard let plain = try? pack.plain(blob) else {
                isWhole = false
                continue
            }
            try promise(plain.count == blob.blob.plainByteCount, "a blob is as long as it says")
        }
        return isWhole ? .accepted : .refused
    }

    /// What a block says is found by its id, and nothing else.
    private static func index(_ bytes: [UInt8]) throws -> Verdict {
        let object = ToldObject(bytes).sealed(as: .index, binding: 0)
        guard let index = try? IndexReader(object, for: ToldObject.place) else { return .refused }
        var last: Digest?
        for block in 0..<index.blockCount {
            guard let locations = try? index.locations(inBlock: block) else { return .refused }
            for location in locations {
                try promise(last.map { $0 < location.id } ?? true, "ids stand in their order")
                last = location.id
                try promise(
                    try index.location(of: location.id) == location, "what is told is found")
            }
        }
        return .accepted
    }

    /// A manifest is read back as it was.
    private static func backup(_ bytes: [UInt8]) throws -> Verdict {
        let object = ToldObject(bytes).sealed(as: .manifest, binding: 0)
        guard let read = try? ManifestObject(object, for: ToldObject.place) else {
            return .refused
        }
        let manifest = read.manifest
        try promise(manifest.sequence > 0, "manifests count from 1")
        try promise(
            manifest.volumes.allSatisfy { !$0.name.isEmpty && $0.map.shape.cellCount > 0 },
            "a volume has a name and bytes")
        let again = try ManifestObject(
            sealing: manifest, in: ToldObject.place, random: ToldObject.otherSalt)
        try promise(again.manifest == manifest, "a manifest is read back as it was")
        return .accepted
    }

    /// A stretch gives the entries that it tells of, one behind the other, or none.
    private static func stretch(_ bytes: [UInt8]) throws -> Verdict {
        let object = ToldObject(bytes).sealed(as: .stretch, binding: 12, behind: 104)
        guard let read = try? StretchObject(object, for: ToldObject.place),
            let entries = try? read.entries()
        else { return .refused }
        let stretch = read.stretch
        try promise(
            entries.first?.index == stretch.first && entries.last?.position == stretch.last,
            "a stretch holds what it tells of")
        try promise(
            entries.count == stretch.last.index.rawValue - stretch.before.index.rawValue,
            "no entry is left out")
        let again = try StretchObject(
            sealing: entries, behind: stretch.before, after: stretch.predecessor,
            cluster: stretch.cluster, in: ToldObject.place, random: ToldObject.otherSalt)
        try promise(try again.entries() == entries, "a stretch is read back as it was")
        return .accepted
    }

    /// A statement is read back as it was.
    private static func statement(_ bytes: [UInt8]) throws -> Verdict {
        func isRead<Said: Statement>(_: Said.Type) throws -> Bool {
            let object = ToldObject(bytes).sealed(as: Said.kind, binding: 0)
            guard let said = try? Said(object, for: ToldObject.place) else { return false }
            let again = try said.sealed(in: ToldObject.place, random: ToldObject.otherSalt)
            try promise(
                try Said(again, for: ToldObject.place) == said, "a statement is read back as it was"
            )
            return true
        }
        let read = [
            try isRead(Hold.self), try isRead(SessionStatement.self),
            try isRead(CollectionStatement.self),
        ]
        return read.contains(true) ? .accepted : .refused
    }

    private static func node(_ bytes: [UInt8]) throws -> Verdict {
        guard let level = bytes.first,
            let node = try? MapNode(parsing: bytes, level: Int(level))
        else { return .refused }
        try promise(node.encoded == bytes, "a node has one encoding")
        return .accepted
    }

    /// A ring that is read has a key for each of its epochs, and is read back as it was.
    private static func ring(_ bytes: [UInt8]) throws -> Verdict {
        let object = ToldRing(bytes).sealed
        guard let ring = try? KeyRingObject(parsing: object) else { return .refused }
        for wrapping in ring.wrappings {
            _ = try? SecretWrap.unwrap(wrapping.bytes, by: ToldObject.secret)
            _ = try? BoxWrap.unwrap(wrapping.bytes, by: BoxPrivateKey(ToldObject.secret))
        }
        guard let read = try? ring.ring(ToldObject.secret, after: nil) else { return .refused }
        for turn in read.ring.turns {
            try promise(
                read.ring.place(turn.epoch) != nil && read.ring.idKeys(turn.epoch) != nil,
                "each epoch has its keys")
        }
        try again(read.ring, ring)
        return .accepted
    }

    private static func again(_ ring: KeyRing, _ object: KeyRingObject) throws {
        let made = KeyRingObject.encode(
            ring, after: nil, wrappings: object.wrappings, key: ToldObject.secret,
            random: ToldObject.salt)
        guard let made else { throw Broken(promise: "a ring that was read can be written") }
        let read = try KeyRingObject(parsing: made).ring(ToldObject.secret, after: nil)
        try promise(
            read.ring.turns.map(\.since) == ring.turns.map(\.since), "a ring is read back as it was"
        )
    }
}
