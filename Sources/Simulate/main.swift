internal import Mesh
internal import Simulator

#if canImport(Glibc)
    internal import Glibc
#endif

/// `make simulate`: runs seeds one after the other, and says what they came to.
var options = Options()
do throws(Options.Refused) {
    options = try Options(parsing: CommandLine.arguments.dropFirst())
} catch {
    print("simulate: \(error.what)\n\(Options.usage)")
    exit(2)
}
var runs = Runs(options)
exit(runs.all() ? 0 : 1)
