package import Mesh

/// Something that happened once and must not be forgotten before a person has seen it. It outlives
/// the process and the leader that saw it.
package struct Incident: Hashable, Sendable {
    package enum Kind: UInt8, CaseIterable, Hashable, Sendable {
        /// `about` lacks what it had acknowledged, up to `index`.
        case replicaLost = 1
        /// Leader `about` says otherwise than what is committed at `index`.
        case contradiction = 2
        /// An operator ended the log of `about` before `index`, where it was damaged.
        case logCut = 3

        package var code: AlarmCode {
            switch self {
            case .replicaLost: .replicaLost
            case .contradiction: .contradiction
            case .logCut: .logCut
            }
        }

        package init?(code: AlarmCode) {
            guard let kind = Self.allCases.first(where: { $0.code == code }) else { return nil }
            self = kind
        }
    }

    /// Only ever goes on, so that two nodes that know different states agree on the later one.
    package enum State: UInt8, Comparable, Hashable, Sendable {
        case open = 0
        /// What was lost is there again; why it was lost is still to be found out.
        case madeGood = 1
        case cleared = 2
        package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    /// Two incidents are the same when all of this is.
    package struct ID: Hashable, Comparable, Sendable {
        /// Unix milliseconds, by the clock of who saw it.
        package let at: UInt64
        package let kind: Kind
        package let about: NodeID
        package let seenBy: NodeID
        package let index: LogIndex

        package static func < (a: Self, b: Self) -> Bool {
            (a.at, a.kind.rawValue, a.about, a.seenBy, a.index)
                < (b.at, b.kind.rawValue, b.about, b.seenBy, b.index)
        }
    }

    package let id: ID
    package internal(set) var state: State
}

extension Incident {
    static let byteCount = 34

    /// Kind u8, state u8, about u64, seen by u64, at u64, index u64: docs/formats/gossip.md.
    func encode(into bytes: inout [UInt8]) {
        bytes.append(id.kind.rawValue)
        bytes.append(state.rawValue)
        bytes.append(name: id.about)
        bytes.append(name: id.seenBy)
        bytes.append(littleEndian: id.at)
        bytes.append(name: id.index)
    }

    /// nil for a kind or a state of a later release; its bytes are passed over.
    init?(reading reader: inout ByteReader) throws(ByteReader.Truncated) {
        let (kind, state) = (Kind(rawValue: try reader.u8()), State(rawValue: try reader.u8()))
        let (about, seenBy) = (try reader.name(NodeID.self), try reader.name(NodeID.self))
        let (at, index) = (try reader.u64(), try reader.name(LogIndex.self))
        guard let kind, let state else { return nil }
        id = ID(at: at, kind: kind, about: about, seenBy: seenBy, index: index)
        self.state = state
    }
}
