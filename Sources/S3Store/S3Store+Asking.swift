internal import Mesh
internal import Repository
internal import S3Protocol

extension S3Store {
    struct Told: Sendable {
        let answer: S3Answer
        let verdict: S3Verdict
    }

    /// Asks until it is done, until no other try will do, or until patience ends. `fault` says what is wrong with an
    /// answer that claims success.
    func ask(
        _ request: S3Request, body: [UInt8] = [], _ deed: S3Deed, bodyIsObject: Bool = false,
        fault: (S3Answer) -> String? = { _ in nil }
    ) throws(ObjectStoreFailure) -> Told {
        let began = world.now()
        var tries = 0
        while true {
            tries += 1
            let left = patience.total - world.now().since(began)
            let step = try once(
                request, body, deed, bodyIsObject: bodyIsObject,
                within: min(patience.request, left), fault: fault)
            let (why, asked): (String, Interval?)
            switch step {
            case .told(let told): return told
            case .again(let words, let wait): (why, asked) = (words, wait)
            }
            let pause = pauseLength(afterTries: tries, asked: asked)
            let took = world.now().since(began)
            guard tries < patience.triesMax, took + pause < patience.total else {
                let times = tries == 1 ? "one try" : "\(tries) tries"
                throw failure(deed, .service("\(why); given up after \(times) in \(took)"))
            }
            world.sleep(pause)
        }
    }

    private enum Step: Sendable {
        case told(Told)
        /// Why, and how long the service wants to be left alone.
        case again(String, Interval?)
    }

    private func once(
        _ request: S3Request, _ body: [UInt8], _ deed: S3Deed, bodyIsObject: Bool,
        within limit: Interval, fault: (S3Answer) -> String?
    ) throws(ObjectStoreFailure) -> Step {
        // Signed anew each time: a signature is good for some minutes.
        let time = S3Time(unixSeconds: world.unixSeconds())
        let signed = signer.signed(request, host: place.host, at: time)
        let most = bodyIsObject ? Self.byteCountMax : Self.answerMax
        let answer: S3Answer
        do throws(S3Mishap) {
            answer = try carrier.carry(signed, body, answerMax: most, within: limit)
        } catch {
            switch error {
            case .broken(let why): return .again(why, nil)
            case .hopeless(let why): throw failure(deed, .service(why))
            case .tooLong:
                throw failure(deed, .service("what it answers has more than \(most) bytes"))
            }
        }
        let verdict = S3Verdict(answer, bodyIsObject: bodyIsObject, sentAt: time)
        let why: String? =
            switch verdict {
            case .again(let words): words
            case .done: fault(answer)
            default: nil
            }
        guard let why else { return .told(Told(answer: answer, verdict: verdict)) }
        return .again(why, S3Patience.asked(answer))
    }

    func pause(afterTries tries: Int, asked: Interval?) {
        world.sleep(pauseLength(afterTries: tries, asked: asked))
    }

    private func pauseLength(afterTries tries: Int, asked: Interval?) -> Interval {
        var chance = SystemRandomNumberGenerator()
        return patience.pause(afterTries: tries, asked: asked, using: &chance)
    }
}
