package import Mesh
package import Record
package struct Ruled: Hashable, Sendable {
    package let entry: Entry
    package let ruling: Ruling
    package init(_ entry: Entry, _ ruling: Ruling) { self.entry = entry; self.ruling = ruling }
}
package enum Ruling: Hashable, Sendable {
    case nothing
    case accepted
    case created(VolumeID, name: String, byteCount: UInt64, isSync: Bool)
    case deleted(VolumeID)
}

package struct ProposalRound: Name {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static let zero = ProposalRound(0)
    package var next: ProposalRound { ProposalRound(rawValue + 1) }
}
