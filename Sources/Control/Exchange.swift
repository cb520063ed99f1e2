/// One connection's one request and answer, as a state machine: each deadline belongs to a state, so
/// no connection outlives the sum of the three.
struct Exchange: Hashable, Sendable {
    enum State: Hashable, Sendable {
        case receiving(AdminRequest?)
        case answering
        case fetching
        case closed
    }

    enum Action: Hashable, Sendable {
        case nothing
        case ask(Route)
        case answer(Answer)
        case close
    }

    /// Why this connection may ask nothing. It is told after it has asked: a client that is answered
    /// and hung up on while it still writes would see a broken pipe in place of the reason.
    let refusal: HTTPRefused?
    private(set) var state = State.receiving(nil)

    init(refusal: HTTPRefused? = nil) { self.refusal = refusal }

    mutating func head(method: String, target: String, announced: Int?) -> Action {
        guard case .receiving(nil) = state else { return .nothing }
        if let refusal { return answer(refusal) }
        guard target.utf8.count <= ControlLimits.targetBytesMax else {
            return answer(.headTooLong)
        }
        guard announced ?? 0 <= ControlLimits.bodyBytesMax else { return answer(.bodyTooLong) }
        state = .receiving(AdminRequest(method, target))
        return .nothing
    }

    mutating func body(_ bytes: some Collection<UInt8>) -> Action {
        guard case .receiving(var request?) = state else { return .nothing }
        guard request.body.count + bytes.count <= ControlLimits.bodyBytesMax else {
            return answer(.bodyTooLong)
        }
        request.body += bytes
        state = .receiving(request)
        return .nothing
    }

    mutating func end() -> Action {
        guard case .receiving(let request?) = state else { return .nothing }
        do {
            let route = try Router.route(request)
            state = .answering
            return .ask(route)
        } catch {
            return answer(error)
        }
    }

    mutating func answered(_ answer: Answer) -> Action {
        guard case .answering = state else { return .nothing }
        state = .fetching
        return .answer(answer)
    }

    /// The bytes are no lawful request.
    mutating func refused(_ refused: HTTPRefused) -> Action {
        guard case .receiving = state else { return .nothing }
        return answer(refused)
    }

    mutating func fetched() -> Action { close() }

    /// Nothing more comes from the other end; it may still read.
    mutating func inputClosed() -> Action {
        guard case .receiving = state else { return .nothing }
        return close()
    }

    mutating func late(_ limits: ControlLimits) -> Action {
        switch state {
        case .receiving: answer(refusal ?? .lateRequest)
        case .answering:
            answer(.lateAnswer(seconds: limits.answerDeadline.components.seconds))
        case .fetching: close()
        case .closed: .nothing
        }
    }

    mutating func close() -> Action {
        guard state != .closed else { return .nothing }
        state = .closed
        return .close
    }

    private mutating func answer(_ refused: HTTPRefused) -> Action {
        state = .fetching
        return .answer(Answer(refused))
    }
}

extension Exchange {
    func deadline(_ limits: ControlLimits) -> Duration? {
        switch state {
        case .receiving:
            refusal == nil ? limits.arrivalDeadline : limits.refusedDeadline
        case .answering: limits.answerDeadline
        case .fetching: limits.fetchDeadline
        case .closed: nil
        }
    }
}
