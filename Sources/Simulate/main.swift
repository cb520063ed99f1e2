internal import Glibc
internal import Planted

/// `make simulate`: runs seeds, and says what they came to; `make powercut`.
do throws(Options.Refused) {
    switch CommandLine.arguments.dropFirst().first {
    case "powercut":
        let cutting = try PowerCutting(parsing: CommandLine.arguments.dropFirst(2))
        exit(cutting.areSurvived() ? 0 : 1)
    case "gossip":
        let measuring = try GossipMeasuring(parsing: CommandLine.arguments.dropFirst(2))
        exit(measuring.run() ? 0 : 1)
    default: break
    }
    let options = try Options(parsing: CommandLine.arguments.dropFirst())
    if options.listsMutants {
        print(Options.mutants.joined(separator: "\n"))
        exit(0)
    }
    #if PLANTED
        if let bug = options.bug { plant(bug) }
    #endif
    exit((options.isHunt ? Quarry(options).isFound() : Runs(options).all()) ? 0 : 1)
} catch {
    print("simulate: \(error.what)\n\(Options.usage)")
    exit(2)
}
