import Mesh
import Testing

@testable import Simulator

private typealias Calls = History<NamedVolume, Int>

@Suite struct `Is a history linearizable?` {
    private let one = VolumeID(1)
    private let two = VolumeID(2)

    private func call(
        _ operation: NamedVolume.Operation, _ began: Int, _ ended: Int?
    ) -> Calls.Call {
        Calls.Call(operation, began: began, ended: ended)
    }

    @Test func `operations one after the other do what the model does`() {
        let lawful = [
            call(.create(one), 1, 2), call(.createRefused, 3, 4), call(.delete(one), 5, 6),
            call(.deleteRefused(one), 7, 8), call(.create(two), 9, 10),
        ]
        #expect(Calls.judge(lawful) == .linearizable)
        #expect(Calls.judge([call(.createRefused, 1, 2)]) == .broken(call: 0))
        #expect(
            Calls.judge([call(.create(one), 1, 2), call(.create(two), 3, 4)])
                == .broken(call: 1))
    }

    @Test func `what overlaps may have come in any order, and what does not in one alone`() {
        #expect(
            Calls.judge([call(.createRefused, 1, 9), call(.create(one), 2, 8)]) == .linearizable)
        #expect(
            Calls.judge([call(.createRefused, 1, 2), call(.create(one), 3, 8)])
                == .broken(call: 0))
        // What began when another returned overlaps it.
        #expect(
            Calls.judge([call(.createRefused, 1, 3), call(.create(one), 3, 8)]) == .linearizable)
    }

    @Test func `what nobody answered may take effect at any later time, or never, and only once`() {
        let lost = call(.create(nil), 1, nil)
        #expect(Calls.judge([lost, call(.createRefused, 50, 51)]) == .linearizable)
        #expect(Calls.judge([lost, call(.create(two), 50, 51)]) == .linearizable)
        let twice = [
            call(.create(one), 1, 2), call(.deleteUnanswered(one), 3, nil),
            call(.create(two), 5, 6), call(.delete(two), 7, 8), call(.createRefused, 9, 10),
        ]
        #expect(Calls.judge(twice) == .broken(call: 4))
    }

    @Test func `more under way than is searched is no verdict`() {
        let lost = (0...Calls.pendingMax).map { call(.create(nil), $0, nil) }
        #expect(Calls.judge(lost + [call(.createRefused, 500, 501)]) == .tangled)
    }

    /// By the definition: some order of all that returned and some of the rest respects real time
    /// and the model.
    private func isLinearizable(_ calls: [Calls.Call], _ state: NamedVolume.State) -> Bool {
        guard calls.contains(where: { $0.ended != nil }) else { return true }
        let firstEnd = calls.compactMap(\.ended).min() ?? 0
        return calls.indices.contains { at in
            guard calls[at].began <= firstEnd,
                let next = NamedVolume.after(calls[at].operation, in: state)
            else { return false }
            var rest = calls
            rest.remove(at: at)
            return isLinearizable(rest, next)
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `the search agrees with the definition`(seed: UInt64) {
        var chance = SeededRandom(seed: seed)
        var verdicts: [Bool: Int] = [:]
        for _ in 0..<400 {
            let calls = (0..<6).map { _ in
                let began = Int(chance.next() % 12)
                let isLost = chance.chance(1, in: 5)
                return call(
                    operation(&chance, isLost), began,
                    isLost ? nil : began + 1 + Int(chance.next() % 6))
            }
            let expected = isLinearizable(calls, NamedVolume.initial)
            #expect((Calls.judge(calls) == .linearizable) == expected, "\(calls)")
            verdicts[expected, default: 0] += 1
        }
        #expect(verdicts[true, default: 0] > 10 && verdicts[false, default: 0] > 10)
    }

    private func operation(
        _ chance: inout SeededRandom, _ isLost: Bool
    ) -> NamedVolume.Operation {
        let id = chance.chance(1, in: 2) ? one : two
        if isLost { return chance.chance(1, in: 2) ? .create(nil) : .deleteUnanswered(id) }
        switch chance.next() % 5 {
        case 0, 1: return .create(id)
        case 2: return .createRefused
        case 3: return .delete(id)
        default: return .deleteRefused(id)
        }
    }
}
