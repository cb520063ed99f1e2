internal import Admin
internal import ArgumentParser
internal import Control

extension VolumeCommand {
    struct Distrust: AskingCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Has bytes of a volume taken from another member, where this one's are wrong.",
            discussion: """
                For the alarm `replicas-differ`: ask the node whose bytes are wrong. They are served until another member's have \
                come, and then are gone. Nothing changes on the others.
                """)

        @ParentCommand var root: Holdfast
        @OptionGroup var options: OutputOptions
        @OptionGroup var confirmation: ConfirmationOptions
        @Argument var name: String
        @Option(help: "Which bytes, as in 1G+64K: from where on, and how many.")
        var range: ByteRange

        func run() async throws {
            let bytes = range.bytes
            try confirmation.demand(
                name,
                "give up what this node has of bytes \(bytes.lowerBound) to \(bytes.upperBound) of \(name)"
            )
            let distrust = VolumeDistrust(
                offset: bytes.lowerBound, byteCount: UInt64(bytes.count))
            try await ask(.distrustVolume(named: name, distrust)) { (volume: VolumeReport) in
                [
                    Line(
                        "bytes \(bytes.lowerBound) to \(bytes.upperBound) of \(volume.name) are taken from another member; "
                            + "`holdfast status` says when none is damaged any more")
                ]
            }
        }
    }
}
