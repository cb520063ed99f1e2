/// The rule under search, and the ways to weaken it. D data voters are 0..<D, the witness is D.
struct WitnessRule {
    enum Order {
        /// Any letter at any time: each vote, each entry and each base move is a step of its own.
        case any
        /// All steps of a term before those of the next. A voter's term only grows and a letter is
        /// sent and received in one term, so sorting a history by term changes no voter's end: the
        /// same logs, bases and commits are reached with far fewer moments between them.
        case byTerm
    }

    /// What the witness does with a base move of a deposed leader.
    enum OldTerms {
        case refused
        /// The base moves, the witness's term stays.
        case obeyed
        /// As if its sender still led: the witness's term goes back too.
        case followed
    }

    /// Whether the base may move to an index the witness said it lacks, whoever else holds it.
    enum Probes {
        case none
        /// The question was asked after the commit was known.
        case afterCommit
        case atAnyTime
    }

    var dataVoters: Int
    var entries = 3
    var terms = 3
    var order = Order.byTerm
    /// How many data voters must hold index i before the base may move to i.
    var copies: Int
    var movesOnlyWhatIsCommitted = true
    var oldTerms = OldTerms.refused
    var probes = Probes.afterCommit
    var neverMovesBack = true
    var keepsWhatMatches = true
    var witnessComparesLogs = true
    var commitsOwnTermOnly = true
    /// Promises whose breach is passed over, to see that a later check finds the same fault.
    var overlooked: [Broken] = []
    /// A quorum, unless a mutant elects with less.
    var votesNeeded: Int

    init(dataVoters: Int, order: Order) {
        self.dataVoters = dataVoters
        self.order = order
        let quorum = (dataVoters + 1) / 2 + 1
        votesNeeded = quorum
        copies = dataVoters - quorum + 2
    }

    var witness: Int { dataVoters }
    var voters: Int { dataVoters + 1 }
    var quorum: Int { voters / 2 + 1 }

    /// Own-term entries held by a quorum, and all below them (Raft §5.4.2).
    func commit(_ term: Int, _ now: Moment) -> Int {
        let sent = now.sent(term)
        var index = Terms.count(sent)
        while index > 0, Terms.at(sent, index) == term || !commitsOwnTermOnly {
            var holders = 0
            for voter in 0..<voters where now.match(term, voter) >= index { holders += 1 }
            if holders >= quorum { return index }
            index -= 1
        }
        return 0
    }

    func mayMoveBase(to index: Int, _ term: Int, _ now: Moment) -> Bool {
        let leader = now.leader(term)
        if leader == 0 || leader == witness + 1 || index > Terms.count(now.sent(term)) {
            return false
        }
        if now.lacked(index), Terms.count(now.committed) >= index { return true }
        if movesOnlyWhatIsCommitted, commit(term, now) < index { return false }
        var holders = 0
        for voter in 0..<dataVoters where now.match(term, voter) >= index { holders += 1 }
        return holders >= copies
    }

    enum Step {
        case stood(Int, term: Int)
        case voted(Int, candidate: Int, term: Int)
        case elected(Int, term: Int)
        case appended(Int, index: Int, term: Int)
        case stored(Int, index: Int, term: Int)
        case moved(index: Int, term: Int)
        case probed(index: Int)
    }

    /// Loss needs no step: a letter that never arrives is one not delivered yet. Neither does a
    /// crash: what is durable stays, and a leader that lost the rest just never acts again.
    func forEachStep(from now: Moment, _ body: (Step, Moment) -> Void) {
        switch order {
        case .any: elections(now, body)
        case .byTerm: electionAtOnce(now, body)
        }
        for term in 1...terms where now.leader(term) != 0 {
            replication(now, term, body)
            baseMoves(now, term, body)
        }
        if probes != .none { probe(now, body) }
    }

    private func elections(_ now: Moment, _ body: (Step, Moment) -> Void) {
        for candidate in 0..<voters {
            let own = now.term(candidate)
            for term in (own + 1)..<(max(own, terms) + 1) {
                var next = now
                next.setTerm(candidate, term)
                next.setVote(term, candidate, candidate + 1)
                body(.stood(candidate, term: term), next)
            }
            guard own > 0, now.vote(own, candidate) == candidate + 1, now.leader(own) == 0 else {
                continue
            }
            for voter in 0..<voters where now.term(voter) <= own && now.vote(own, voter) == 0 {
                guard grants(voter, Terms.position(now.log(candidate)), now) else { continue }
                var next = now
                next.setTerm(voter, own)
                next.setVote(own, voter, candidate + 1)
                var votes = 0
                for each in 0..<voters where next.vote(own, each) == candidate + 1 { votes += 1 }
                if votes >= votesNeeded { crown(candidate, own, &next) }
                body(.voted(voter, candidate: candidate, term: own), next)
            }
        }
    }

    /// Raft §5.4.1; an empty log above a base counts as long as the base.
    private func grants(_ voter: Int, _ position: Int, _ now: Moment) -> Bool {
        if voter == witness, !witnessComparesLogs { return true }
        return Terms.position(now.log(voter)) <= position
    }

    /// With the steps sorted by term nothing happens between the votes of one term; voters beyond
    /// the quorum, and elections nobody wins, only take steps away from those who took part.
    private func electionAtOnce(_ now: Moment, _ body: (Step, Moment) -> Void) {
        var term = 1
        while term <= terms, now.leader(term) == 0 { term += 1 }
        term = term > terms ? 1 : term + 1
        guard term <= terms else { return }
        for candidate in 0..<voters {
            let position = Terms.position(now.log(candidate))
            var votes = 0
            for voter in 0..<voters where grants(voter, position, now) { votes += 1 }
            guard votes >= votesNeeded else { continue }
            var next = now
            if term > 1 { bury(term - 1, &next) }
            crown(candidate, term, &next)
            body(.elected(candidate, term: term), next)
        }
    }

    private func crown(_ leader: Int, _ term: Int, _ next: inout Moment) {
        next.setLeader(term, leader + 1)
        next.setSent(term, next.log(leader))
        // A caretaker commits nothing, so it counts no acknowledgements; its base is noted there.
        let own = leader == witness ? next.base : Terms.count(next.log(leader))
        next.setMatch(term, leader, own)
    }

    private func bury(_ term: Int, _ next: inout Moment) {
        next.setLeader(term, 0)
        next.setSent(term, 0)
        for voter in 0..<voters { next.setMatch(term, voter, 0) }
    }

    private func replication(_ now: Moment, _ term: Int, _ body: (Step, Moment) -> Void) {
        let leader = now.leader(term) - 1
        let sent = now.sent(term)
        let count = Terms.count(sent)
        let leads = order == .byTerm || now.term(leader) == term
        if leads, leader != witness, count < entries {
            var next = now
            let log = Terms.with(sent, count + 1, term)
            next.setLog(leader, log)
            next.setSent(term, log)
            next.setMatch(term, leader, count + 1)
            noteCommit(term, &next)
            body(.appended(leader, index: count + 1, term: term), next)
        }
        // The caretaker's own base is not among what it can send.
        let first = leader == witness ? now.match(term, witness) + 1 : 1
        guard first <= count else { return }
        for voter in 0..<voters where voter != leader && now.term(voter) <= term {
            for index in first...count {
                guard let next = stored(voter, index, term, now) else { continue }
                body(.stored(voter, index: index, term: term), next)
            }
        }
    }

    /// AppendEntries with one entry (Raft §5.3); several at once are several in a row.
    private func stored(_ voter: Int, _ index: Int, _ term: Int, _ now: Moment) -> Moment? {
        let sent = now.sent(term)
        let log = now.log(voter)
        var next = now
        let isForgotten = voter == witness && index <= now.base
        if !isForgotten {
            if index > 1, Terms.at(log, index - 1) != Terms.at(sent, index - 1) { return nil }
            let entry = Terms.at(sent, index)
            if Terms.at(log, index) != entry { next.setLog(voter, Terms.with(log, index, entry)) }
        }
        if order == .any { next.setTerm(voter, term) }
        if now.leader(term) == witness + 1 { return next }
        next.setMatch(term, voter, max(index, now.match(term, voter)))
        noteCommit(term, &next)
        return next
    }

    private func noteCommit(_ term: Int, _ next: inout Moment) {
        let index = commit(term, next)
        if index > Terms.count(next.committed) {
            let fresh = Terms.above(Terms.upTo(next.sent(term), index), Terms.count(next.committed))
            next.committed |= fresh
        }
    }

    private func baseMoves(_ now: Moment, _ term: Int, _ body: (Step, Moment) -> Void) {
        if oldTerms == .refused, now.term(witness) > term { return }
        for index in 1...entries where mayMoveBase(to: index, term, now) {
            if neverMovesBack, index <= now.base { continue }
            var next = now
            let atBase = Terms.only(now.sent(term), index)
            let log = now.log(witness)
            let matches = Terms.only(log, index) == atBase
            next.base = index
            let keeps = matches && keepsWhatMatches
            next.setLog(witness, keeps ? Terms.above(log, index - 1) : atBase)
            next.setMatch(term, witness, max(index, now.match(term, witness)))
            if order == .any, oldTerms != .obeyed || now.term(witness) < term {
                next.setTerm(witness, term)
            }
            noteCommit(term, &next)
            body(.moved(index: index, term: term), next)
        }
    }

    /// The answer is remembered for ever and by every leader, as late letters could make it.
    private func probe(_ now: Moment, _ body: (Step, Moment) -> Void) {
        let asked = probes == .afterCommit ? Terms.count(now.committed) : entries
        guard asked > now.base else { return }
        for index in (now.base + 1)...asked where !now.lacked(index) {
            let held = Terms.at(now.log(witness), index)
            if held != 0, held == Terms.at(now.committed, index) { continue }
            var next = now
            next.setLacked(index)
            body(.probed(index: index), next)
        }
    }
}
