internal import Admin
internal import ArgumentParser
internal import Control

struct SwitchoverCommand: AskingCommand {
    static let configuration = CommandConfiguration(
        commandName: "switchover",
        abstract: "Makes another region primary, without the loss of a write.",
        discussion: "Its clients lose their connections and connect again to the new primary.")

    @ParentCommand var root: Holdfast
    @OptionGroup var options: OutputOptions
    @OptionGroup var confirmation: ConfirmationOptions
    @Argument(help: "The region that becomes primary.")
    var region: String

    func run() async throws {
        if let refusal = try await look().refusal(ofSwitchoverTo: region) { throw refuse(refusal) }
        try confirmation.demand(region, "make \(region) primary and disconnect all clients")
        try await ask(.switchover(SwitchoverRequest(region: region))) { (done: SwitchoverReport) in
            [
                Line(
                    "\(done.region) is primary (epoch \(done.epoch)) after \(done.milliseconds) ms",
                    .good)
            ]
        }
    }
}
