internal import Mesh
internal import VolumeCore

/// A virtual NBD client: writes numbered versions to blocks of its own, flushes, reads anybody's,
/// and goes where an export is open.
struct Client {
    struct Session {
        let connection: ConnectionID
        let door: Welcome
    }
    enum Phase {
        case seeking
        case knocking(ConnectionID)
        case connected(Session)
    }
    enum Asked {
        case write([(block: Int, version: UInt64)], isDurable: Bool)
        case flush(Ledger.Covered)
        case read(first: Int, least: [UInt64])
    }

    static let patience = Interval.milliseconds(1_500)
    static let knockPatience = Interval.milliseconds(300)
    static let roundPause = Interval.milliseconds(20)

    let disk: Int
    let name: String
    /// Blocks that nobody else writes.
    let own: Range<Int>
    /// What the disk grows by is its own too.
    let takesGrowth: Bool
    var random: SeededRandom
    let thinks: ClosedRange<Interval>
    let burstMax: Int

    var phase = Phase.seeking
    var attempts: UInt64 = 0
    /// The machine to be tried next.
    var next = 0
    /// All doors were closed when it last tried.
    var waits = false
    var asked: [UInt64: Asked] = [:]
    var numbers: UInt64 = 0
    /// Says which turn on the agenda is the present one.
    var turn: UInt64 = 0
    /// All of the last burst is answered and not flushed.
    var wantsFlush = false

    func own(through session: Session) -> Range<Int> {
        guard takesGrowth else { return own }
        return own.lowerBound..<Int(session.door.byteCount) / Ledger.blockByteCount
    }

    var session: Session? {
        if case .connected(let session) = phase { return session }
        return nil
    }
}
