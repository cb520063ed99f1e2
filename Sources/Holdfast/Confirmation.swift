internal import ArgumentParser
internal import Glibc

struct ConfirmationOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Don't ask for confirmation.")
    var yes = false

    /// Has the name of what is at stake typed again: a `y` is typed by habit.
    func demand(_ name: String, _ deed: String) throws {
        if yes { return }
        guard Terminal.inputIsTerminal else {
            throw Failure(
                .usage,
                "to \(deed) needs a confirmation, and no terminal is here to ask on\n"
                    + "  Give --yes when you mean it.")
        }
        Terminal.write("To \(deed), type \(name): ", to: STDERR_FILENO)
        guard readLine() == name else { throw Failure(.refused, "not confirmed; nothing was done") }
    }
}
