/// Looks for the few faults that a violation needs: leaves out halves of them, then quarters, and so on
/// (delta debugging, Zeller and Hildebrandt 2002), as long as the same promise is broken.
package struct Shrinking {
    /// Runs spent on one violation.
    package static let runsMax = 120

    /// The plan with the fewest spells that was found.
    package private(set) var plan: Plan
    package private(set) var violation: Violation
    package private(set) var runs = 0
    private let promise: Substring

    package init(_ plan: Plan, _ violation: Violation, spells: Int) {
        self.plan = plan
        self.violation = violation
        promise = Self.promise(of: violation)
        self.plan.spells = self.plan.spells ?? Set(0..<spells)
        shrink()
    }

    /// What was broken, without what is of one run alone.
    private static func promise(of violation: Violation) -> Substring {
        violation.what.prefix { $0 != ":" && !$0.isNumber }
    }

    private mutating func shrink() {
        guard !isEnough([]) else { return }
        var size = ((plan.spells?.count ?? 0) + 1) / 2
        while size > 0 {
            let before = plan.spells?.count
            leaveOut(size)
            if size > 1 || plan.spells?.count == before { size /= 2 }
        }
    }

    /// Tries to do without each `size` of them.
    private mutating func leaveOut(_ size: Int) {
        let all = (plan.spells ?? []).sorted()
        for start in stride(from: 0, to: all.count, by: size) {
            guard runs < Self.runsMax else { return }
            let rest = (plan.spells ?? []).subtracting(all[start..<min(start + size, all.count)])
            guard rest.count < plan.spells?.count ?? 0 else { continue }
            _ = isEnough(rest)
        }
    }

    private mutating func isEnough(_ spells: Set<Int>) -> Bool {
        runs += 1
        var tried = plan
        tried.spells = spells
        var simulation = Simulation(tried)
        guard let found = simulation.run().violation, Self.promise(of: found) == promise else {
            return false
        }
        (plan, violation) = (tried, found)
        return true
    }
}
