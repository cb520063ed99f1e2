import Mesh
import NIOCore
import Testing

@testable import Transport

@Suite struct LinkStateTests {
    let first = ConnectionID(number: 1)
    let second = ConnectionID(number: 2)

    @Test func `the end of an old connection does not end a newer link`() {
        var link = LinkState.idle
        #expect(link.greeted(first) == .none)
        #expect(link.greeted(second) == .close(first))
        #expect(link.lost(first, dials: false) == .none)
        #expect(link == .up(second, failures: 0))
    }

    @Test func `the round trip of a link that is down is not told`() {
        var link = Link(state: .up(first, failures: 0), dials: true)
        link.roundTrip = .milliseconds(7)
        let key = LinkKey(node: NodeID(2), lane: .consensus)
        #expect(link.status(key).roundTrip == .milliseconds(7))
        _ = link.state.lost(first, dials: true)
        #expect(link.status(key).roundTrip == nil)
    }

    @Test func `a peer that greets and hangs up is dialed ever more slowly`() {
        var link = LinkState.idle
        _ = link.dial(first)
        _ = link.greeted(first)
        #expect(link.lost(first, dials: true) == .retry(failures: 1))
        _ = link.dial(second)
        _ = link.greeted(second)
        #expect(link.lost(second, dials: true) == .retry(failures: 2))
    }

    @Test func `a link that proved itself forgets its failures`() {
        var link = LinkState.up(first, failures: 5)
        link.proved(first)
        #expect(link.lost(first, dials: true) == .retry(failures: 1))
    }

    @Test func `nothing is dialed after the stop`() {
        var link = LinkState.backingOff(failures: 1)
        #expect(link.stop() == .none)
        #expect(link.dial(second) == .none)
        #expect(link.greeted(second) == .close(second))
    }

    @Test func `an announced length allocates nothing`() throws {
        var reader = FrameReader(payloadBytesMax: 8 << 20)
        var bytes = ByteBuffer(bytes: [0, 0, 0x7f, 0, 1, 9])
        reader.push(&bytes)
        #expect(try reader.next() == nil)
        #expect(reader.capacity < 64)
        reader.payloadBytesMax = 1000
        #expect(throws: FrameRefused.oversized(bytes: 0x7f_0000 - 1, max: 1000)) {
            _ = try reader.next()
        }
    }
}
