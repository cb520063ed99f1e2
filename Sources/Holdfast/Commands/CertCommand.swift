internal import Admin
internal import ArgumentParser
internal import Certificates
internal import Mesh

struct CertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cert",
        abstract: "A small certificate authority for first use; keep its directory off the nodes.",
        subcommands: [Init.self, Issue.self, Renew.self])

    struct Init: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Makes the authority.")

        @OptionGroup var options: OutputOptions
        @OptionGroup var confirmation: ConfirmationOptions
        @Option(help: "Where ca.pem and ca.key go.") var dir: String
        @Option(help: "The cluster's id, 32 hexadecimal digits; one is drawn when left away.")
        var cluster: ClusterID?
        @Flag(help: "Replace an authority: none of the old one's certificates counts any more.")
        var replace = false

        func run() throws {
            if replace {
                try confirmation.demand(dir, "replace the authority in \(dir)")
            }
            var chance = SystemRandomNumberGenerator()
            let cluster = cluster ?? ClusterID(high: chance.next(), low: chance.next())
            let authority = try certified { () throws(CertificateError) in
                try Authority.create(directory: dir, cluster: cluster, replacing: replace)
            }
            let made = Made(certificate: "\(dir)/ca.pem", key: "\(dir)/ca.key")
            let lines = [
                Line("made \(made.certificate) and \(made.key) for cluster \(authority.cluster)"),
                Line("keep ca.key off the nodes: whoever has it can join the mesh", .faint),
            ]
            try options.show(made, lines)
        }
    }

    struct Issue: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a node's key and certificate.")

        @OptionGroup var options: OutputOptions
        @Option(help: "The authority's directory.") var dir: String
        @Option(help: "The node's id.") var node: UInt64
        @Option(help: "The node's region.") var region: RegionName
        @Option(
            parsing: .singleValue,
            help: "An IP address or host name of the node; may be given several times.")
        var address: [String] = []
        @Option(help: "How long it is valid, 1 to \(Authority.nodeDaysMax) days.")
        var days = Authority.nodeDaysDefault
        @Flag(help: "Replace the node's key and certificate.") var replace = false

        func validate() throws {
            if node == 0 { throw ValidationError("--node is a whole number from 1.") }
        }

        func run() throws {
            let issued = try certified { () throws(CertificateError) in
                try Authority(opening: dir).issue(
                    node: NodeID(node), region: region, addresses: address, days: days,
                    replacing: replace)
            }
            try options.show(Made(issued, days), [Made(issued, days).line])
        }
    }

    struct Renew: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a new key and certificate under the names of the old ones.")

        @OptionGroup var options: OutputOptions
        @Option(help: "The authority's directory.") var dir: String
        @Option(help: "The node's id.") var node: UInt64
        @Option(help: "How long it is valid, 1 to \(Authority.nodeDaysMax) days.")
        var days = Authority.nodeDaysDefault

        func run() throws {
            let issued = try certified { () throws(CertificateError) in
                try Authority(opening: dir).renew(node: NodeID(node), days: days)
            }
            let next = Line(
                "next: put both in place of the old ones and send the node SIGHUP; see \"Renewing "
                    + "certificates\" in docs/operations.md", .faint)
            try options.show(Made(issued, days), [Made(issued, days).line, next])
        }
    }
}

/// A key and a certificate that were made.
private struct Made: Encodable {
    var certificate: String
    var key: String
    var days: Int?

    init(certificate: String, key: String) { (self.certificate, self.key) = (certificate, key) }

    init(_ issued: Authority.Issued, _ days: Int) {
        self.init(certificate: issued.certificatePath, key: issued.keyPath)
        self.days = days
    }

    var line: Line {
        Line("made \(certificate) and \(key), valid for \(counted(days ?? 0, "day"))")
    }
}

private func certified<Value>(
    _ body: () throws(CertificateError) -> Value
) throws(Failure) -> Value {
    do { return try body() } catch {
        let remedy =
            switch error {
            case .exists: "Give --replace to replace it, or another --dir."
            case .file: "Check the path and who may write there."
            case .unreadable, .unnamed:
                "Check that --dir is an authority's; see `holdfast cert init`."
            case .addressMisspelled: "Give each address with an --address of its own."
            case .daysOutOfRange: "Give --days within that."
            case .notMade: "Check the arguments; nothing was written."
            }
        throw Failure(.refused, "\(error)\n  \(remedy)")
    }
}

extension ClusterID: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

extension RegionName: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}
