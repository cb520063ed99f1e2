internal import Mesh

/// One TCP connection of this process; never reused.
package struct ConnectionID: Hashable, Sendable {
    let number: UInt64
}

/// The life of one link (peer and lane). The node with the lower id dials, the other waits. Every
/// event names its connection, so that the end of an old connection never ends a newer link.
package enum LinkState: Hashable, Sendable {
    case idle
    case dialing(ConnectionID, failures: Int)
    case up(ConnectionID, failures: Int)
    case backingOff(failures: Int)
    case stopped

    enum Action: Hashable {
        case none
        case dial(ConnectionID)
        case retry(failures: Int)
        case close(ConnectionID)
    }

    mutating func dial(_ connection: ConnectionID) -> Action {
        switch self {
        case .idle:
            self = .dialing(connection, failures: 0)
            return .dial(connection)
        case .backingOff(let failures):
            self = .dialing(connection, failures: failures)
            return .dial(connection)
        case .dialing, .up, .stopped: return .none
        }
    }

    /// Both hellos were accepted. On the waiting side a new connection supersedes an old one: the
    /// peer, proved by its certificate, knows better than we whether the old one still lives.
    mutating func greeted(_ connection: ConnectionID) -> Action {
        switch self {
        case .idle:
            self = .up(connection, failures: 0)
            return .none
        case .dialing(connection, let failures):
            self = .up(connection, failures: failures)
            return .none
        case .up(let old, _) where old != connection:
            self = .up(connection, failures: 0)
            return .close(old)
        case .up: return .none
        case .dialing, .backingOff, .stopped: return .close(connection)
        }
    }

    /// A ping came back. Only now are failures forgotten: a peer that greets and hangs up at once is
    /// dialed ever more slowly.
    mutating func proved(_ connection: ConnectionID) {
        if case .up(connection, _) = self { self = .up(connection, failures: 0) }
    }

    mutating func lost(_ connection: ConnectionID, dials: Bool) -> Action {
        switch self {
        case .dialing(connection, let failures), .up(connection, let failures):
            guard dials else {
                self = .idle
                return .none
            }
            self = .backingOff(failures: failures + 1)
            return .retry(failures: failures + 1)
        case .idle, .dialing, .up, .backingOff, .stopped: return .none
        }
    }

    mutating func stop() -> Action {
        defer { self = .stopped }
        switch self {
        case .dialing(let connection, _), .up(let connection, _): return .close(connection)
        case .idle, .backingOff, .stopped: return .none
        }
    }

    var upConnection: ConnectionID? {
        if case .up(let connection, _) = self { connection } else { nil }
    }

    /// Doubles from `floor` to `ceiling`; half of it is chance, so that the links of a region that
    /// comes back don't dial in step.
    static func backoff(
        failures: Int, floor: Interval, ceiling: Interval, random: inout SeededRandom
    ) -> Interval {
        var full = floor
        for _ in 1..<max(failures, 1) where full < ceiling { full = full * 2 }
        full = min(full, ceiling)
        return random.interval(in: full / 2...full)
    }
}
