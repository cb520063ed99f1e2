internal import Gossip
internal import Mesh
internal import VolumeCore

/// A message on its way.
struct Parcel {
    enum Lane: UInt8 { case letter, gossip, note, resync, mend }
    let from: Int
    let to: Int
    let lane: Lane
    let bytes: [UInt8]
    /// Of the connection that carries it: a reset loses what an older one had under way.
    let connection: UInt64
}

/// What the agenda holds.
enum Occurrence {
    case arrival(Parcel)
    case wake(Int, life: UInt64)
    case logDone(Int, life: UInt64)
    case volumesTurn(Int, life: UInt64)
    case persisted(Int, life: UInt64, Gossip.Persist)
    case knock(Int, ConnectionID)
    case ask(Int, life: UInt64, RequestID, VolumeID, ExportGeneration, VolumeRequest)
    case hangUp(Int, life: UInt64, ConnectionID)

    case welcome(ConnectionID, Welcome?)
    case reply(RequestID, VolumeReply)
    case lost(ConnectionID)
    case clientTurn(Int, number: UInt64)

    /// The acting primary's machine loses power.
    case primaryFalls
    /// A data member is away for longer than the log is kept for it.
    case absence(spell: Int?)
    /// Power fails where it hurts most.
    case stroke(Int, life: UInt64, spell: Int)
    case boot(Int)
    /// It gets the newest release.
    case install(Int)
    case resume(Int)
    case weather
    case calm(Int)
    case operators
    case watch
    case clearForQuorum
    case clearSky
    case judgement
    case lastJudgement

    /// The machine that has to handle it, and the process it is meant for if any.
    var addressee: (machine: Int, life: UInt64?)? {
        switch self {
        case .arrival(let parcel): (parcel.to, nil)
        case .wake(let machine, let life), .logDone(let machine, let life),
            .volumesTurn(let machine, let life), .persisted(let machine, let life, _),
            .ask(let machine, let life, _, _, _, _), .hangUp(let machine, let life, _):
            (machine, life)
        case .knock(let machine, _): (machine, nil)
        default: nil
        }
    }
}

/// What a client learns when an export lets it in.
struct Welcome {
    let machine: Int
    let life: UInt64
    let volume: VolumeID
    let generation: ExportGeneration
    let byteCount: UInt64
}

extension ConnectionID {
    /// The `attempt`-th connection of a client.
    init(client: Int, attempt: UInt64) { self.init(UInt64(client) << 32 | attempt) }
    var client: Int { Int(rawValue >> 32) }
}
