/// What must hold in every moment.
enum Broken: String {
    case electionSafety = "two leaders in one term"
    case leaderCompleteness = "a leader lacks a committed entry"
    case stateMachineSafety = "two entries were committed at one index"
    case forgettingRule = "a majority with the witness lacks what the witness forgot"
    case forgotUncommitted = "the witness's base is not a committed entry"
    case lost = "a majority holds no copy of a committed entry"
    case stuck = "a majority cannot bring a complete data voter to lead"
}

extension WitnessRule {
    func broken(in now: Moment) -> Broken? {
        if order == .any, hasTwoLeaders(now), watches(.electionSafety) { return .electionSafety }
        if !commitsAgree(now), watches(.stateMachineSafety) { return .stateMachineSafety }
        if !leadersAreComplete(now), watches(.leaderCompleteness) { return .leaderCompleteness }
        if now.base > 0 {
            let base = Terms.only(now.committed, now.base)
            let isCommitted = base != 0 && base == Terms.only(now.log(witness), now.base)
            if !isCommitted, watches(.forgotUncommitted) { return .forgotUncommitted }
            if !forgetsSafely(now), watches(.forgettingRule) { return .forgettingRule }
        }
        if losesEntry(now), watches(.lost) { return .lost }
        if isStuck(now), watches(.stuck) { return .stuck }
        return nil
    }

    private func watches(_ promise: Broken) -> Bool { !overlooked.contains(promise) }

    private func hasTwoLeaders(_ now: Moment) -> Bool {
        for term in 1...terms {
            var leaders = 0
            for candidate in 0..<voters {
                var votes = 0
                for voter in 0..<voters where now.vote(term, voter) == candidate + 1 { votes += 1 }
                if votes >= votesNeeded { leaders += 1 }
            }
            if leaders > 1 { return true }
        }
        return false
    }

    private func commitsAgree(_ now: Moment) -> Bool {
        for term in 1...terms where now.leader(term) != 0 {
            let index = commit(term, now)
            if Terms.upTo(now.sent(term), index) != Terms.upTo(now.committed, index) {
                return false
            }
        }
        return true
    }

    /// A leader has what was committed in any earlier term, were it only committed later.
    private func leadersAreComplete(_ now: Moment) -> Bool {
        for term in 1...terms where now.leader(term) != 0 {
            var due = order == .byTerm ? Terms.count(now.committed) : 0
            for earlier in 1..<max(term, 1) where now.leader(earlier) != 0 {
                due = max(due, commit(earlier, now))
            }
            // In its own term a leader commits only what it holds, so `due` may include that.
            let isCaretaker = now.leader(term) == witness + 1
            let forgotten = isCaretaker ? max(now.match(term, witness) - 1, 0) : 0
            let held = Terms.above(now.sent(term), forgotten)
            if Terms.above(Terms.upTo(now.committed, due), forgotten) != Terms.upTo(held, due) {
                return false
            }
        }
        return true
    }

    private func holds(_ voter: Int, _ index: Int, _ now: Moment) -> Bool {
        if voter == witness, index <= now.base { return false }
        return Terms.at(now.log(voter), index) == Terms.at(now.committed, index)
    }

    /// Any quorum with the witness has quorum − 1 data voters.
    private func forgetsSafely(_ now: Moment) -> Bool {
        var without = 0
        for voter in 0..<dataVoters
        where Terms.upTo(now.log(voter), now.base) != Terms.upTo(now.committed, now.base) {
            without += 1
        }
        return without < quorum - 1
    }

    private func losesEntry(_ now: Moment) -> Bool {
        for index in 1..<(Terms.count(now.committed) + 1) {
            var without = 0
            for voter in 0..<voters where !holds(voter, index, now) { without += 1 }
            if without >= quorum { return true }
        }
        return false
    }

    /// Each majority, left to itself, elects its newest voter. If that is the witness alone, it
    /// serves what is above its base to a data voter that holds its base, and hands over.
    private func isStuck(_ now: Moment) -> Bool {
        let caretaker = Terms.position(now.log(witness))
        for majority in 0..<(1 << voters) where majority.nonzeroBitCount == quorum {
            var best = -1
            for voter in 0..<dataVoters where majority & (1 << voter) != 0 {
                best = max(best, Terms.position(now.log(voter)))
            }
            let needsCaretaker = majority & (1 << witness) != 0 && caretaker > best
            var isLed = false
            for voter in 0..<dataVoters where majority & (1 << voter) != 0 {
                if needsCaretaker {
                    if takesOver(now.log(voter), now) { isLed = true }
                } else if Terms.position(now.log(voter)) == best {
                    if Terms.upTo(now.log(voter), Terms.count(now.committed)) != now.committed {
                        return true
                    }
                    isLed = true
                }
            }
            if !isLed { return true }
        }
        return false
    }

    private func takesOver(_ log: Int, _ now: Moment) -> Bool {
        let own = now.log(witness)
        if now.base > 0, Terms.only(log, now.base) != Terms.only(own, now.base) { return false }
        let brought = Terms.upTo(log, now.base) | Terms.above(own, now.base)
        return Terms.upTo(brought, Terms.count(now.committed)) == now.committed
    }
}
