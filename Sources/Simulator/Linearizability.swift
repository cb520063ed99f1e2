/// What one object does when its operations come one after the other.
package protocol SequentialModel {
    associatedtype State: Hashable
    associatedtype Operation: Equatable
    static var initial: State { get }
    /// nil where `operation` can't have had its outcome in `state`.
    static func after(_ operation: Operation, in state: State) -> State?
}

/// Is there a moment for each operation, between its call and its return, at which it may have taken
/// effect? (Herlihy and Wing 1990.) One object's history; several are judged one by one, which is
/// enough (ibid., locality).
///
/// The search is Wing and Gong's (1993) with Lowe's remedies (2017): it goes through the history in
/// order of time, and keeps every way in which what goes on may have taken effect so far. An
/// operation that has returned is in every way that is left, and forgotten. Of equal operations that
/// never return it does not matter which one took effect: only the first is tried.
package struct History<Model: SequentialModel, Time: Comparable> {
    package struct Call {
        package let operation: Model.Operation
        package let began: Time
        /// nil: nobody knows whether it took, or will take, effect.
        package let ended: Time?

        package init(_ operation: Model.Operation, began: Time, ended: Time?) {
            (self.operation, self.began, self.ended) = (operation, began, ended)
        }
    }
    package enum Verdict: Equatable {
        case linearizable
        /// No way is left at the return of this call.
        case broken(call: Int)
        /// More goes on at once than is searched: no verdict.
        case tangled
    }
    /// What is under way at once, and the ways kept: beyond them the history is too tangled to judge.
    package static var pendingMax: Int { 64 }
    package static var waysMax: Int { 1 << 16 }

    private struct Way: Hashable {
        var state: Model.State
        /// The slots of those under way that have taken effect.
        var effects: UInt64 = 0
    }
    private let calls: [Call]
    private var slots: [Int?] = Array(repeating: nil, count: Self.pendingMax)
    private var ways: Set<Way> = [Way(state: Model.initial)]

    private init(_ calls: [Call]) { self.calls = calls }

    package static func judge(_ calls: [Call]) -> Verdict {
        var history = Self(calls)
        return history.judge()
    }

    private mutating func judge() -> Verdict {
        for moment in moments {
            let (call, isReturn) = (moment.call, moment.isReturn)
            guard isReturn else {
                guard let free = slots.firstIndex(of: nil) else { return .tangled }
                slots[free] = call
                continue
            }
            guard let slot = slots.firstIndex(of: call) else { continue }
            guard let left = waysOn(past: 1 << UInt64(slot)) else { return .tangled }
            guard !left.isEmpty else { return .broken(call: call) }
            ways = left
            slots[slot] = nil
        }
        return .linearizable
    }

    /// Calls and returns in order of time; what began when another returned overlaps it.
    private var moments: [(call: Int, isReturn: Bool)] {
        var moments: [(at: Time, call: Int, isReturn: Bool)] = []
        for (at, call) in calls.enumerated() {
            moments.append((call.began, at, false))
            if let ended = call.ended { moments.append((ended, at, true)) }
        }
        moments.sort { a, b in a.at != b.at ? a.at < b.at : !a.isReturn && b.isReturn }
        return moments.map { ($0.call, $0.isReturn) }
    }

    /// For each slot those before it with an equal call, where neither returns: they take effect first.
    private var twins: [UInt64] {
        slots.indices.map { slot in
            slots[..<slot].indices.reduce(0) { twins, other in
                areTwins(slots[slot], slots[other]) ? twins | 1 << UInt64(other) : twins
            }
        }
    }

    private func areTwins(_ a: Int?, _ b: Int?) -> Bool {
        guard let a, let b, calls[a].ended == nil, calls[b].ended == nil else { return false }
        return calls[a].operation == calls[b].operation
    }

    /// Every way on in which the call of `bit` has taken effect, others before it or not; without
    /// it, for it has returned. nil if there are too many.
    private func waysOn(past bit: UInt64) -> Set<Way>? {
        var (seen, left, done) = (ways, Array(ways), Set<Way>())
        let twins = self.twins
        while let way = left.popLast() {
            guard way.effects & bit == 0 else {
                done.insert(Way(state: way.state, effects: way.effects & ~bit))
                continue
            }
            for (slot, call) in slots.enumerated() {
                let effect: UInt64 = 1 << UInt64(slot)
                guard let call, way.effects & (effect | twins[slot]) == twins[slot],
                    let state = Model.after(calls[call].operation, in: way.state)
                else { continue }
                let next = Way(state: state, effects: way.effects | effect)
                guard seen.insert(next).inserted else { continue }
                guard seen.count <= Self.waysMax else { return nil }
                left.append(next)
            }
        }
        return done
    }
}
