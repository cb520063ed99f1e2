package import Mesh

/// The first frame in both directions: who speaks, of which mesh, on which lane, in which versions.
package struct Hello: Hashable, Sendable {
    package enum Refused: Error, Hashable {
        case truncated
        case wrongMagic
        case misspelledRegion
        case unknownLane(UInt8)
    }

    /// "HOLDFAST" as the bytes of a little-endian word.
    package static let magic: UInt64 = 0x5453_4146_444c_4f48
    package static let bytesMax = 512
    package static let versions: ClosedRange<UInt16> = 1...1

    package var versions: ClosedRange<UInt16>
    package var cluster: ClusterID
    package var node: NodeID
    package var lane: Lane
    package var featureLevel: UInt32
    package var region: RegionName

    package init(_ name: PeerName, lane: Lane, featureLevel: UInt32) {
        versions = Self.versions
        cluster = name.cluster
        node = name.node
        self.lane = lane
        self.featureLevel = featureLevel
        region = name.region
    }

    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: Self.magic)
        bytes.append(littleEndian: versions.lowerBound)
        bytes.append(littleEndian: versions.upperBound)
        bytes.append(littleEndian: cluster.high)
        bytes.append(littleEndian: cluster.low)
        bytes.append(name: node)
        bytes.append(lane.rawValue)
        bytes.append(littleEndian: featureLevel)
        bytes.append(UInt8(region.text.utf8.count))
        bytes.append(contentsOf: region.text.utf8)
        return bytes
    }

    /// What follows the known fields is left to later versions, which may only append.
    package init(parsing bytes: [UInt8]) throws(Refused) {
        var reader = ByteReader(bytes)
        do {
            guard try reader.u64() == Self.magic else { throw Refused.wrongMagic }
            let (oldest, newest) = (try reader.u16(), try reader.u16())
            // An empty range is spelled as one no reader shares, so it is refused as a version.
            versions = oldest <= newest ? oldest...newest : 0...0
            cluster = ClusterID(high: try reader.u64(), low: try reader.u64())
            node = try reader.name()
            let code = try reader.u8()
            guard let lane = Lane(rawValue: code) else { throw Refused.unknownLane(code) }
            self.lane = lane
            featureLevel = try reader.u32()
            let count = try reader.u8()
            let text = String(decoding: try reader.take(Int(count)), as: UTF8.self)
            guard let region = RegionName(text) else { throw Refused.misspelledRegion }
            self.region = region
        } catch let refused as Refused {
            throw refused
        } catch {
            throw .truncated
        }
    }
}
