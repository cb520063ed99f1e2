import Testing

/// docs/adr/0002-witness-rule.md says what these counts mean. They are exact: a search that visits
/// fewer moments has lost a step, and its silence would prove less than the page claims.
@Suite("The witness rule, searched exhaustively", .serialized)
struct WitnessRuleTests {
    struct Bounds: CustomTestStringConvertible {
        var dataVoters = 2
        var entries = 3
        var terms = 3
        var probes = WitnessRule.Probes.none
        var moments: Int
        var momentsByTerm = 0

        var testDescription: String {
            "\(dataVoters) data voters, \(entries) entries, \(terms) terms, probes: \(probes)"
        }

        func rule(_ order: WitnessRule.Order) -> WitnessRule {
            var rule = WitnessRule(dataVoters: dataVoters, order: order)
            (rule.entries, rule.terms, rule.probes) = (entries, terms, probes)
            return rule
        }
    }

    @Test(arguments: [
        Bounds(dataVoters: 2, moments: 5_636),
        Bounds(dataVoters: 3, moments: 36_828),
        Bounds(dataVoters: 4, moments: 227_232),
        Bounds(dataVoters: 2, probes: .afterCommit, moments: 18_182),
        Bounds(dataVoters: 3, probes: .afterCommit, moments: 84_413),
        Bounds(dataVoters: 4, probes: .afterCommit, moments: 688_503),
    ])
    func `the rule holds in every moment`(bounds: Bounds) {
        let outcome = Search.run(bounds.rule(.byTerm))
        tell("holds", bounds.testDescription, outcome)
        #expect(outcome.broken == nil, "\(outcome.story)")
        #expect(outcome.moments == bounds.moments)
    }

    /// Shows that sorting by term hides nothing: with every vote and late letter a step of its own
    /// the same logs, bases and commits are reached, and no others.
    @Test(arguments: [
        Bounds(moments: 5_118_240, momentsByTerm: 5_636),
        Bounds(entries: 2, probes: .afterCommit, moments: 2_089_156, momentsByTerm: 2_059),
        Bounds(terms: 2, probes: .afterCommit, moments: 158_752, momentsByTerm: 3_538),
    ])
    func `late letters reach nothing that sorted terms do not`(bounds: Bounds) {
        let anyOrder = Search.run(bounds.rule(.any), keepingLogs: true)
        let byTerm = Search.run(bounds.rule(.byTerm), keepingLogs: true)
        tell("holds in any order", bounds.testDescription, anyOrder)
        #expect(anyOrder.broken == nil, "\(anyOrder.story)")
        #expect(anyOrder.moments == bounds.moments)
        #expect(byTerm.moments == bounds.momentsByTerm)
        #expect(anyOrder.logs == byTerm.logs)
    }

    @Test(arguments: [2, 4])
    func `one copy fewer loses what the witness forgot`(dataVoters: Int) {
        var rule = WitnessRule(dataVoters: dataVoters, order: .byTerm)
        rule.copies -= 1
        let outcome = Search.run(rule)
        tell("one copy fewer", "\(dataVoters) data voters", outcome)
        #expect(outcome.broken == .forgettingRule)
    }

    /// With an odd D a commit that counts the witness has D − q + 2 copies already.
    @Test func `with three data voters the commit itself makes the copies`() {
        var rule = WitnessRule(dataVoters: 3, order: .byTerm)
        rule.copies -= 1
        #expect(Search.run(rule).broken == nil)
    }

    @Test(arguments: [2, 4])
    func `a probe from before the commit was known proves nothing`(dataVoters: Int) {
        var rule = WitnessRule(dataVoters: dataVoters, order: .byTerm)
        rule.probes = .atAnyTime
        let outcome = Search.run(rule)
        tell("an early probe", "\(dataVoters) data voters", outcome)
        #expect(outcome.broken == .forgettingRule)
    }

    @Test func `a witness that follows a deposed leader's base move loses a committed entry`() {
        var rule = twoTerms
        rule.oldTerms = .followed
        let outcome = Search.run(rule)
        tell("no term check", "the witness's term goes back", outcome)
        #expect(outcome.broken == .leaderCompleteness)
    }

    /// Why the term check is not what makes forgetting safe: what was once safe to forget stays so.
    @Test func `a late base move alone is harmless while the witness keeps its term`() {
        var rule = twoTerms
        rule.oldTerms = .obeyed
        let outcome = Search.run(rule)
        #expect(outcome.broken == nil, "\(outcome.story)")
        #expect(outcome.moments == 35_852)
    }

    @Test func `a base that moves back loses the entries above it`() {
        var rule = twoTerms
        rule.neverMovesBack = false
        expect(.lost, of: rule, "the base moves back")
    }

    @Test func `a base move that drops matching entries above it loses them`() {
        var rule = twoTerms
        rule.keepsWhatMatches = false
        expect(.lost, of: rule, "matching entries are dropped")
    }

    @Test func `copies alone do not make an entry safe to forget`() {
        var rule = twoTerms
        rule.movesOnlyWhatIsCommitted = false
        expect(.forgotUncommitted, of: rule, "copies without a commit")
    }

    @Test func `a witness that votes for any log elects an incomplete leader`() {
        var rule = twoTerms
        rule.witnessComparesLogs = false
        expect(.leaderCompleteness, of: rule, "the witness votes for anybody")
    }

    @Test func `the search sees two leaders when a minority elects`() {
        var rule = twoTerms
        rule.votesNeeded -= 1
        expect(.electionSafety, of: rule, "one vote elects")
    }

    @Test(arguments: [Broken.lost, .stuck])
    func `a missing copy is seen by each check on its own`(broken: Broken) {
        var rule = twoTerms
        rule.copies -= 1
        rule.overlooked = broken == .lost ? [.forgettingRule] : [.forgettingRule, .lost]
        expect(broken, of: rule, "one copy fewer")
    }

    @Test func `two entries committed at one index are seen`() {
        var rule = twoTerms
        rule.oldTerms = .followed
        rule.overlooked = [.leaderCompleteness, .forgettingRule, .lost, .stuck]
        expect(.stateMachineSafety, of: rule, "no term check")
    }

    /// Raft fig. 8: the voter that can still win with the other entry is seen before it does.
    @Test func `counting copies of older terms undoes a commit (Raft §5.4.2)`() {
        var rule = WitnessRule(dataVoters: 4, order: .byTerm)
        rule.commitsOwnTermOnly = false
        expect(.stuck, of: rule, "old terms commit by count")
    }

    private var twoTerms: WitnessRule {
        var rule = WitnessRule(dataVoters: 2, order: .any)
        (rule.terms, rule.probes) = (2, .none)
        return rule
    }

    private func expect(_ broken: Broken, of rule: WitnessRule, _ what: String) {
        let outcome = Search.run(rule)
        tell(what, "\(rule.dataVoters) data voters", outcome)
        #expect(outcome.broken == broken)
    }

    private func tell(_ what: String, _ bounds: String, _ outcome: Search.Outcome) {
        print("\(what) (\(bounds)): \(outcome.moments) moments")
        guard let broken = outcome.broken else { return }
        for line in outcome.story { print("    \(line)") }
        print("    => \(broken.rawValue)")
    }
}
