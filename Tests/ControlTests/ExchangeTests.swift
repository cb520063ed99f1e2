import Admin
import Testing

@testable import Control

@Suite("One connection's exchange")
struct ExchangeTests {
    private let limits = ControlLimits()

    private func asking() -> Exchange {
        var exchange = Exchange()
        _ = exchange.head(method: "GET", target: "/v1/status", announced: nil)
        _ = exchange.end()
        return exchange
    }

    @Test func `a whole request is asked, its answer sent, and the connection closed`() {
        var exchange = Exchange()
        #expect(exchange.head(method: "GET", target: "/v1/raft", announced: 0) == .nothing)
        #expect(exchange.end() == .ask(.raft))
        let answer = Answer(200, ["a": 1])
        #expect(exchange.answered(answer) == .answer(answer))
        #expect(exchange.fetched() == .close)
        #expect(exchange.fetched() == .nothing)
    }

    @Test func `a body in pieces is one body`() {
        var exchange = Exchange()
        _ = exchange.head(method: "POST", target: "/v1/switchover", announced: 14)
        _ = exchange.body(#"{"reg"#.utf8)
        _ = exchange.body(#"ion":"a"}"#.utf8)
        #expect(exchange.end() == .ask(.switchover(SwitchoverRequest(region: "a"))))
    }

    @Test func `a body at the limit is taken, one byte more is refused before it is kept`() {
        let whole = [UInt8](repeating: 32, count: ControlLimits.bodyBytesMax)
        var exchange = Exchange()
        _ = exchange.head(method: "POST", target: "/v1/volumes", announced: nil)
        #expect(exchange.body(whole) == .nothing)
        #expect(exchange.body([32]) == .answer(Answer(.bodyTooLong)))
        #expect(exchange.end() == .nothing)
    }

    @Test func `a body announced as too long is refused at its head`() {
        var exchange = Exchange()
        let action = exchange.head(
            method: "POST", target: "/v1/volumes", announced: ControlLimits.bodyBytesMax + 1)
        #expect(action == .answer(Answer(.bodyTooLong)))
    }

    @Test func `a late request, a late answer and a late reader each end the exchange`() {
        var late = Exchange()
        #expect(late.late(limits) == .answer(Answer(.lateRequest)))
        #expect(late.late(limits) == .close)
        var exchange = asking()
        #expect(exchange.late(limits) == .answer(Answer(.lateAnswer(seconds: 15))))
        #expect(exchange.answered(Answer(200)) == .nothing)
        #expect(exchange.late(limits) == .close)
        #expect(exchange.late(limits) == .nothing)
    }

    @Test func `who is turned away is told once it has asked, or soon in any case`() {
        var exchange = Exchange(refusal: .crowded(limit: 1))
        #expect(exchange.deadline(limits) == limits.refusedDeadline)
        let told = Exchange.Action.answer(Answer(.crowded(limit: 1)))
        #expect(exchange.head(method: "GET", target: "/v1/raft", announced: nil) == told)
        #expect(exchange.end() == .nothing)
        var silent = Exchange(refusal: .crowded(limit: 1))
        #expect(silent.late(limits) == told)
    }

    @Test func `a second request on the connection is not taken`() {
        var exchange = asking()
        #expect(exchange.head(method: "GET", target: "/v1/raft", announced: nil) == .nothing)
        #expect(exchange.end() == .nothing)
    }

    @Test func `who hangs up in mid-request is gone, who only stops writing still gets the answer`()
    {
        var exchange = Exchange()
        #expect(exchange.inputClosed() == .close)
        var other = asking()
        #expect(other.inputClosed() == .nothing)
    }

    @Test(arguments: [0, 1_000, 65_534] as [UInt32])
    func `root and the owner are admitted, nobody else`(user: UInt32) {
        let admission = Admission(owner: 1_000)
        #expect((admission.refusal(of: user) == nil) == (user != 65_534))
    }
}
