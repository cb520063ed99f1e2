import Mesh
import Sealing
import Testing

@testable import Repository

/// What a backup of a guest's disk holds: text that shrinks, and noise that doesn't.
enum Plain {
    static func text(_ count: Int) -> [UInt8] {
        let line = Array("all work and no play ".utf8)
        return (0..<count).map { line[$0 % line.count] }
    }

    static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    }
}

func digest(_ bytes: [UInt8]) -> Digest { Digest(of: bytes.span) }

func salt(_ number: UInt8) throws -> Salt {
    try #require(Salt([UInt8](repeating: number, count: Salt.byteCount)))
}

func place(_ secret: UInt8 = 1, epoch: UInt32 = 1, tenant: UInt64 = 2) throws -> SealedPlace {
    let key = try #require(Secret([UInt8](repeating: secret, count: Secret.byteCount)))
    return SealedPlace(
        repository: RepositoryID(high: 1, low: 2), tenant: TenantID(high: 1, low: tenant),
        key: EpochKey(KeyEpoch(epoch), key))
}

func pack(
    _ plain: [[UInt8]], _ place: SealedPlace, random number: UInt8 = 9, codec: Codec = .lz4
) throws -> (pack: Pack, codecFaultCount: Int) {
    var writer = PackWriter(in: place, codec: codec)
    for plain in plain { writer.add(plain.span, .cell, id: digest(plain)) }
    let faults = writer.codecFaultCount
    return (try writer.finish(random: salt(number)), faults)
}

/// The name of a pack, and what else an index says of it.
func reference(_ number: UInt8) throws -> PackReference {
    PackReference(name: digest([number]), epoch: .first, salt: try salt(number))
}
