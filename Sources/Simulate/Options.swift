internal import Glibc
internal import Mesh
internal import Simulator

/// What the command line asks for.
struct Options {
    struct Refused: Error { let what: String }

    static let usage = """
        usage: simulate [--seeds N] [--seed FIRST] [--shape \(names(Shape.self))]
                        [--mutant \(names(Mutant.self))]
                        [--jobs N] [--story] [--calm]
        """

    var seeds: UInt64 = 20
    var first: UInt64 = 1
    /// Five members cost more than twice what three do, and show little that three don't.
    private static let turn: [Shape] = [.three, .twoAndWitness, .three, .twoAndWitness, .five]

    /// nil: all in turn.
    var shape: Shape?
    var mutant: Mutant?
    /// Threads, each with a run of its own.
    var jobs = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    /// Prints the story of a run that went well too.
    var tellsStory = false
    /// Without any fault: what the mesh itself costs.
    var isCalm = false

    init() {}

    init(parsing arguments: some Sequence<String>) throws(Refused) {
        var rest = Array(arguments)
        func value(_ flag: String) throws(Refused) -> String {
            guard !rest.isEmpty else { throw Refused(what: "\(flag) needs a value") }
            return rest.removeFirst()
        }
        func number(_ flag: String) throws(Refused) -> UInt64 {
            let text = try value(flag)
            guard let number = UInt64(text) else {
                throw Refused(what: "\(flag) needs a number, not \(text)")
            }
            return number
        }
        while !rest.isEmpty {
            let flag = rest.removeFirst()
            switch flag {
            case "--seeds": seeds = try number(flag)
            case "--seed": first = try number(flag)
            case "--shape": shape = try Self.choice(Shape.self, try value(flag))
            case "--mutant": mutant = try Self.choice(Mutant.self, try value(flag))
            case "--jobs": jobs = max(1, Int(clamping: try number(flag)))
            case "--story": tellsStory = true
            case "--calm": isCalm = true
            default: throw Refused(what: "\(flag) is not an option")
            }
        }
    }

    private static func choice<C: RawRepresentable<String> & CaseIterable>(
        _: C.Type, _ text: String
    ) throws(Refused) -> C {
        guard let choice = C(rawValue: text) else {
            throw Refused(what: "\(text) is none of \(names(C.self))")
        }
        return choice
    }

    private static func names<C: RawRepresentable<String> & CaseIterable>(_: C.Type) -> String {
        C.allCases.map(\.rawValue).joined(separator: "|")
    }

    func plan(_ seed: UInt64) -> Plan {
        let turn = Self.turn[Int(seed % UInt64(Self.turn.count))]
        var plan = Plan(seed: seed, shape: shape ?? turn)
        plan.mutant = mutant
        if isCalm { plan.faults = [] }
        return plan
    }
}
