internal import Mesh
internal import NIOCore

/// The changes of shared state, each one lock long; what follows from them happens outside.
extension Shared {
    struct Path {
        let channel: any Channel
        let connection: ConnectionID
    }

    mutating func enqueue(_ bytes: Int, on key: LinkKey) -> (SendOutcome, Path?) {
        guard var link = links[key] else { return (.dropped(.unknownPeer), nil) }
        defer { links[key] = link }
        guard bytes <= key.lane.frameBytesMax else {
            link.dropped += 1
            return (.dropped(.oversized), nil)
        }
        guard let connection = link.state.upConnection, let channel = link.channel else {
            link.dropped += 1
            return (.dropped(.down), nil)
        }
        guard link.queuedBytes + bytes <= key.lane.queueBytesMax else {
            link.dropped += 1
            return (.dropped(.full), nil)
        }
        link.queuedBytes += bytes
        return (.queued, Path(channel: channel, connection: connection))
    }

    /// Never less than before.
    mutating func require(_ level: FeatureLevel) -> [any Channel] {
        gate.levelMin = max(gate.levelMin, level)
        return keys.compactMap { key in
            guard let link = links[key], let connection = link.state.upConnection,
                let speaks = link.featureLevel, speaks < gate.levelMin.rawValue
            else { return nil }
            return open[connection]?.channel
        }
    }

    /// Who left, or moved, is let go of; who came is to be dialed.
    mutating func adopt(_ roster: Roster) -> (closing: [any Channel], dialing: [LinkKey]) {
        let old = gate.roster
        gate = gate.with(roster: roster)
        var closing: [any Channel] = []
        for key in keys where roster.entry(key.node) != old.entry(key.node) {
            if case .close(let connection)? = links[key]?.state.stop() {
                open[connection].map { closing.append($0.channel) }
            }
            links[key] = nil
            refusals.forget(key.node)
        }
        var dialing: [LinkKey] = []
        for entry in roster.entries where entry.node != gate.own.node {
            guard links[LinkKey(node: entry.node, lane: .consensus)] == nil else { continue }
            meet(entry.node)
            dialing += Lane.allCases.map { LinkKey(node: entry.node, lane: $0) }
                .filter { links[$0]?.dials == true }
        }
        return (closing, phase == .started ? dialing : [])
    }

    /// The bytes left the process, or died with their connection; another connection's count is its
    /// own.
    mutating func dequeue(_ bytes: Int, on key: LinkKey, _ connection: ConnectionID) {
        guard links[key]?.state.upConnection == connection else { return }
        links[key]?.queuedBytes -= bytes
        links[key]?.bytesOut += UInt64(bytes)
    }

    mutating func opened(
        _ connection: ConnectionID, _ key: LinkKey, _ channel: any Channel, featureLevel: UInt32
    ) -> (isUp: Bool, old: (any Channel)?, isPaused: Bool) {
        open[connection]?.isStranger = false
        // The mesh's level may have risen since the greeting.
        guard var link = links[key], featureLevel >= gate.levelMin.rawValue else {
            return (false, nil, false)
        }
        let action = link.state.greeted(connection)
        guard link.state.upConnection == connection else { return (false, nil, false) }
        var old: (any Channel)?
        if case .close(let superseded) = action { old = open[superseded]?.channel }
        link.channel = channel
        link.queuedBytes = 0
        link.roundTrip = nil
        link.featureLevel = featureLevel
        link.lastError = nil
        links[key] = link
        // It came in, so what it was refused for is mended.
        if key.lane == .consensus { refusals.forget(key.node) }
        return (true, old, link.isPaused)
    }

    mutating func lost(
        _ connection: ConnectionID, _ key: LinkKey, _ reason: String
    ) -> (action: LinkState.Action, wasUp: Bool, isNews: Bool) {
        guard var link = links[key] else { return (.none, false, false) }
        let before = link.state
        let action = link.state.lost(connection, dials: link.dials)
        guard link.state != before else { return (.none, false, false) }
        let wasUp = before.upConnection == connection
        let isNews = wasUp || link.lastError != reason
        link.channel = nil
        link.queuedBytes = 0
        link.lastError = reason
        links[key] = link
        return (action, wasUp, isNews)
    }
}
