import Foundation
import Mesh
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(1))) struct LinkTests {
    @Test func `three nodes exchange frames on every lane`() async throws {
        let rig = try Rig()
        let (c, seenByC) = try await rig.node(3, peers: [1: 0, 2: 0])
        let (b, seenByB) = try await rig.node(2, peers: [1: 0, 3: try #require(c.port)])
        let (a, seenByA) = try await rig.node(
            1, peers: [2: try #require(b.port), 3: try #require(c.port)])
        let nodes: [(UInt64, Transport, Diary)] = [
            (1, a, seenByA), (2, b, seenByB), (3, c, seenByC),
        ]
        for (from, transport, diary) in nodes {
            for (to, _, _) in nodes where to != from {
                for lane in Lane.allCases {
                    try await diary.up(to, lane)
                    let pieces = [[UInt8(from), UInt8(to)], [], [lane.rawValue]]
                    #expect(transport.send(pieces, to: NodeID(to), lane: lane) == .queued)
                }
            }
        }
        for (to, _, diary) in nodes {
            for (from, _, _) in nodes where to != from {
                for lane in Lane.allCases {
                    try await diary.wait {
                        $0
                            == .frame(
                                NodeID(from), lane, [UInt8(from), UInt8(to), lane.rawValue])
                    }
                }
            }
        }
        #expect(a.refusals.total + b.refusals.total + c.refusals.total == 0)
        for (_, transport, _) in nodes { await transport.shutdown() }
    }

    @Test func `who comes is dialed, who leaves is let go, and the others stay`() async throws {
        let rig = try Rig()
        let (c, seenByC) = try await rig.node(3, peers: [1: 0])
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let entries = [
            try rig.entry(1), try rig.entry(2, port: try #require(b.port)),
            try rig.entry(3, port: try #require(c.port)),
        ]
        let (a, seenByA) = try await rig.node(1, peers: [2: try #require(b.port)])
        try await seenByA.up(2, .consensus)
        a.reload(Roster(entries))
        try await seenByA.up(3, .consensus)
        try await seenByC.up(1, .consensus)
        #expect(seenByA.all.filter { $0 == .event(.up(NodeID(2), .consensus)) }.count == 1)
        a.reload(Roster([entries[0], entries[2]]))
        try await seenByB.down(1, .consensus)
        #expect(a.send([7], to: NodeID(2), lane: .consensus) == .dropped(.unknownPeer))
        #expect(a.send([7], to: NodeID(3), lane: .consensus) == .queued)
        for node in [a, b, c] { await node.shutdown() }
    }

    @Test func `frames of one link arrive whole and in order up to the limit`() async throws {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let (a, seenByA) = try await rig.node(1, peers: [2: try #require(b.port)])
        try await seenByA.up(2, .consensus)
        let sizes = [0, 1, 16_384, 100_000, Lane.consensus.frameBytesMax]
        for (mark, size) in sizes.enumerated() {
            let frame = [UInt8](repeating: UInt8(mark), count: size)
            #expect(a.send(frame, to: NodeID(2), lane: .consensus) == .queued)
        }
        try await seenByB.wait(sizes.count) { if case .frame = $0 { true } else { false } }
        let frames = seenByB.all.compactMap { item -> [UInt8]? in
            if case .frame(_, _, let bytes) = item { bytes } else { nil }
        }
        #expect(frames.map(\.count) == sizes)
        #expect(
            frames.enumerated().allSatisfy { mark, frame in
                frame.allSatisfy { $0 == UInt8(mark) }
            })
        await a.shutdown()
        await b.shutdown()
    }

    @Test func `what cannot be queued is dropped, counted and said`() async throws {
        let rig = try Rig()
        let (b, _) = try await rig.node(2, peers: [1: 0])
        let (a, seenByA) = try await rig.node(1, peers: [2: try #require(b.port)])
        #expect(a.send([1], to: NodeID(9), lane: .gossip) == .dropped(.unknownPeer))
        try await seenByA.up(2, .gossip)
        let long = [UInt8](repeating: 0, count: Lane.gossip.frameBytesMax + 1)
        #expect(a.send(long, to: NodeID(2), lane: .gossip) == .dropped(.oversized))
        await a.shutdown()
        #expect(a.send([1], to: NodeID(2), lane: .gossip) == .dropped(.down))
        #expect(a.links.first { $0.lane == .gossip }?.dropped == 2)
        await b.shutdown()
    }

    @Test func `a stopped reader on bulk delays no vote`() async throws {
        let rig = try Rig()
        let (b, seenByB) = try await rig.node(2, peers: [1: 0])
        let (a, seenByA) = try await rig.node(1, peers: [2: try #require(b.port)])
        for lane in Lane.allCases {
            try await seenByA.up(2, lane)
            try await seenByB.up(1, lane)
        }
        b.pauseReading(from: NodeID(1))
        let block = [UInt8](repeating: 7, count: 1 << 20)
        var sent = 0
        // The kernel's buffers take some; the lane's bound ends it. 64 is twice that bound.
        while sent < 64, a.send(block, to: NodeID(2), lane: .bulk) == .queued { sent += 1 }
        #expect(a.send(block, to: NodeID(2), lane: .bulk) == .dropped(.full))
        #expect(a.send([1], to: NodeID(2), lane: .consensus) == .queued)
        try await seenByB.wait { $0 == .frame(NodeID(1), .consensus, [1]) }
        let stalled = try #require(a.links.first { $0.lane == .bulk })
        #expect(stalled.queuedBytes > Lane.bulk.queueBytesMax - block.count * 8)
        #expect(stalled.queuedBytes <= Lane.bulk.queueBytesMax)
        b.resumeReading(from: NodeID(1))
        try await seenByB.wait(sent) { item in
            if case .frame(_, .bulk, let bytes) = item { bytes == block } else { false }
        }
        await a.shutdown()
        await b.shutdown()
    }

    @Test func `links come back after the peer restarts`() async throws {
        let rig = try Rig()
        let (b, _) = try await rig.node(2, peers: [1: 0])
        let port = try #require(b.port)
        let (a, seenByA) = try await rig.node(1, peers: [2: port])
        for lane in Lane.allCases { try await seenByA.up(2, lane) }
        await b.shutdown()
        for lane in Lane.allCases { try await seenByA.down(2, lane) }
        let (again, seenByB) = try await rig.node(2, port: port, peers: [1: 0])
        for lane in Lane.allCases { try await seenByA.up(2, lane, times: 2) }
        #expect(a.send([5], to: NodeID(2), lane: .consensus) == .queued)
        try await seenByB.wait { $0 == .frame(NodeID(1), .consensus, [5]) }
        await a.shutdown()
        await again.shutdown()
    }

    @Test func `a ping measures the link and the snapshot shows it`() async throws {
        let rig = try Rig()
        let (b, _) = try await rig.node(2, peers: [1: 0])
        let (a, seenByA) = try await rig.node(1, peers: [2: try #require(b.port)])
        try await seenByA.wait { $0 == .event(.proved(NodeID(2), .gossip)) }
        let link = try #require(a.links.first { $0.lane == .gossip })
        #expect(link.roundTrip != nil)
        #expect(link.featureLevel == 7)
        #expect(link.bytesIn > 0)
        await a.shutdown()
        await b.shutdown()
    }
}
