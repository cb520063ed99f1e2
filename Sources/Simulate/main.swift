internal import Glibc

/// `make simulate`: runs seeds, and says what they came to.
do throws(Options.Refused) {
    let options = try Options(parsing: CommandLine.arguments.dropFirst())
    exit(Runs(options).all() ? 0 : 1)
} catch {
    print("simulate: \(error.what)\n\(Options.usage)")
    exit(2)
}
