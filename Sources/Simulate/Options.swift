internal import Glibc
internal import Mesh
internal import Planted
internal import Simulator

/// What the command line asks for.
struct Options {
    struct Refused: Error { let what: String }

    static let usage = """
        usage: simulate [--seeds N|--hours N] [--seed FIRST] [--shape \(names(Shape.self))]
                        [--mutant NAME [--hunt]] [--mutants]
                        [--jobs N] [--story] [--calm] [--spells N,N...|none]
                        [--faults NAME,NAME...] [--lease-ms N]
        """

    var seeds: UInt64 = 20
    var first: UInt64 = 1
    /// How long new seeds are begun, if not until there were so many.
    var stretch: Duration?
    /// Five members cost more than twice what three do, and show little that three don't.
    private static let turn: [Shape] = [.three, .twoAndWitness, .three, .twoAndWitness, .five]

    /// nil: all in turn.
    var shape: Shape?
    var mutant: Mutant?
    /// As the command line has it.
    var mutantName: String?
    #if PLANTED
        /// A bug in the cores themselves, which is there from the first run on.
        var bug: PlantedBug?
    #endif
    /// Ends with the first violation, which is what is wanted.
    var isHunt = false
    var listsMutants = false
    /// Threads, each with a run of its own.
    var jobs = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    /// Prints the story of a run that went well too.
    var tellsStory = false
    /// The only spells of bad weather that strike.
    var spells: Set<Int>?
    /// What the weather is drawn from, and how long a lease lasts, if not all and any.
    var faults: Set<Fault>?
    var lease: Interval?
    /// Without any fault: what the mesh itself costs.
    var isCalm = false

    init() {}

    init(parsing arguments: some Sequence<String>) throws(Refused) {
        var flags = Flags(arguments)
        var seed: UInt64?
        while let flag = flags.next() {
            switch flag {
            case "--seeds": seeds = try flags.number(flag)
            case "--hours": stretch = try Self.hours(try flags.value(flag))
            case "--seed": seed = try flags.number(flag)
            case "--shape": shape = try Self.choice(Shape.self, try flags.value(flag))
            case "--mutant": try take(mutant: try flags.value(flag))
            case "--hunt": isHunt = true
            case "--mutants": listsMutants = true
            case "--jobs": jobs = max(1, Int(clamping: try flags.number(flag)))
            case "--story": tellsStory = true
            case "--calm": isCalm = true
            case "--faults":
                let names = try flags.value(flag).split(separator: ",").map(String.init)
                faults = []
                for name in names { faults?.insert(try Self.choice(Fault.self, name)) }
            case "--lease-ms": lease = .milliseconds(try flags.number(flag))
            case "--spells": spells = try Self.numbers(try flags.value(flag))
            default: throw Refused(what: "\(flag) is not an option")
            }
        }
        // A long run has seeds that nobody has seen yet.
        first = seed ?? (stretch == nil ? first : UInt64.random(in: 1 << 20..<1 << 40))
    }

    private static func hours(_ text: String) throws(Refused) -> Duration {
        guard let hours = Double(text), hours > 0, hours <= 1_000 else {
            throw Refused(what: "--hours needs a number above 0, at most 1000, not \(text)")
        }
        return .seconds(hours * 3_600)
    }

    private mutating func take(mutant name: String) throws(Refused) {
        mutantName = name
        mutant = Mutant(rawValue: name)
        #if PLANTED
            bug = PlantedBug.allCases.first { $0.name == name }
            guard bug == nil else { return }
        #endif
        guard mutant == nil else { return }
        throw Refused(
            what:
                "\(name) is none of \(Self.mutants.joined(separator: " ")); bugs of the cores are "
                + "compiled by `make mutants` alone")
    }

    /// All that this build can plant.
    static var mutants: [String] {
        #if PLANTED
            Mutant.allCases.map(\.rawValue) + PlantedBug.allCases.map(\.name)
        #else
            Mutant.allCases.map(\.rawValue)
        #endif
    }

    private static func numbers(_ text: String) throws(Refused) -> Set<Int> {
        guard text != "none" else { return [] }
        var numbers: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let number = Int(part), number >= 0 else {
                throw Refused(what: "--spells needs numbers like 3,17 or none, not \(text)")
            }
            numbers.insert(number)
        }
        return numbers
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

    /// What a run's plan takes from here besides its seed and shape, in the words of `make simulate`.
    var choices: String {
        var words = mutantName.map { " MUTANT=\($0)" } ?? ""
        if let faults {
            words += " FAULTS=" + faults.map(\.rawValue).sorted().joined(separator: ",")
        }
        if let lease { words += " LEASE_MS=\(lease.nanoseconds / 1_000_000)" }
        return words
    }

    func plan(_ seed: UInt64) -> Plan {
        let turn = Self.turn[Int(seed % UInt64(Self.turn.count))]
        let hunt = isHunt ? mutantName.flatMap { Hunt.special[$0] } : nil
        var plan = Plan(seed: seed, shape: shape ?? hunt?.shape ?? turn)
        plan.mutant = mutant
        if let faults = faults ?? hunt?.faults { plan.faults = faults }
        plan.lease = lease ?? hunt?.lease
        if isCalm { plan.faults = [] }
        plan.spells = spells
        // Who looks for a bug of another kind finds it in the seeds of before.
        plan.claimsBackups = mutantName == nil
        return plan
    }
}
