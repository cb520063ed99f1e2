package import Decisions
package import Mesh
package import Schedule
internal import Yams

/// What a member does.
package enum Role: String, Hashable, Sendable, CaseIterable {
    /// Votes, stores the log and the volumes, may be primary.
    case data
    /// Votes; stores the log only while a data member is away.
    case witness
}

package struct Member: Hashable, Sendable {
    package let id: NodeID
    package let region: RegionName
    package let role: Role
    package let address: Endpoint
}

/// The file that is the same on every node.
package struct ClusterSettings: Hashable, Sendable {
    /// A Raft group has at most this many voters; more only make each write slower.
    package static let votersMax = 7
    /// One, and one that is to replace it.
    package static let witnessesMax = 2
    package static let leaseDefault = Interval.milliseconds(400)

    package let cluster: ClusterID
    /// By id.
    package let members: [Member]
    package let primaryRegion: RegionName
    package let secondaryRegions: [RegionName]
    package let lease: LeaseTerms
    /// nil where the mesh makes none by itself.
    package let backups: BackupSchedule?
    /// nil where backups may lie anywhere.
    package let backupRegions: BackupRegions?

    package var dataMembers: [Member] { members.filter { $0.role == .data } }
    /// Whose majority decides, as text: "1 data, 2 data, 3 witness".
    package var roles: String {
        members.map { "\($0.id) \($0.role == .witness ? "witness" : "data")" }
            .joined(separator: ", ")
    }
    package var witnesses: [Member] { members.filter { $0.role == .witness } }
    /// Of a mesh that begins with these members.
    package var witness: Member? { witnesses.first }

    package init(parsing text: String, file: String) throws(Faults) {
        var section = try Section(document: text, file: file)
        let cluster = section.required(
            "cluster", expected: "32 hexadecimal digits", parse: ClusterID.init(_:))
        let members = Self.members(&section)
        let region = "a region name (a-z 0-9 -, beginning with a letter)"
        let primary = section.required(
            "primaryRegion", expected: region, parse: RegionName.init(_:))
        let secondaries = Self.secondaries(&section, expected: region)
        let lease = section.optional(
            "lease", expected: "a duration of \(LeaseTerms.lengthMin) to \(LeaseTerms.lengthMax)"
        ) { Interval(duration: $0).flatMap { LeaseTerms(length: $0) } }

        let backups = section.backups()
        let backupRegions = section.backupRegions()
        Self.check(members, &section)
        Self.check(primary, secondaries, members, &section)
        let faults = section.finish()
        guard faults.isEmpty, let cluster, let primary,
            let lease = lease?.value ?? LeaseTerms(length: Self.leaseDefault)
        else { throw Faults(all: faults) }
        self.cluster = cluster.value
        self.members = members.map(\.value).sorted { $0.id < $1.id }
        primaryRegion = primary.value
        secondaryRegions = secondaries.map(\.value)
        (self.lease, self.backups, self.backupRegions) = (lease, backups, backupRegions)
    }

    private static func members(_ section: inout Section) -> [Section.Placed<Member>] {
        var members: [Section.Placed<Member>] = []
        for placed in section.list("members", required: true) {
            var entry = Section(placed.value, file: section.file, path: placed.key)
            let id = entry.required("id", expected: "a whole number from 1") { text in
                UInt64(text).flatMap { $0 > 0 ? NodeID($0) : nil }
            }
            let region = entry.required(
                "region", expected: "a region name", parse: RegionName.init(_:))
            let role = entry.required(
                "role", expected: "data or witness", parse: Role.init(rawValue:))
            let address = entry.required(
                "address", expected: "host:port", parse: Endpoint.init(_:))
            section.adopt(entry.finish())
            guard let id, let region, let role, let address else { continue }
            members.append(
                Section.Placed(
                    value: Member(
                        id: id.value, region: region.value, role: role.value,
                        address: address.value),
                    line: placed.line, key: placed.key))
        }
        return members
    }

    private static func secondaries(
        _ section: inout Section, expected: String
    ) -> [Section.Placed<RegionName>] {
        var regions: [Section.Placed<RegionName>] = []
        for placed in section.list("secondaryRegions", required: false) {
            if let name = placed.value.string.flatMap(RegionName.init(_:)) {
                regions.append(.init(value: name, line: placed.line, key: placed.key))
            } else {
                section.report(placed.key, line: placed.line, "expected \(expected)")
            }
        }
        return regions
    }

    private static func check(_ members: [Section.Placed<Member>], _ section: inout Section) {
        // Beyond that all is said already.
        for (place, member) in members.prefix(votersMax + 1).enumerated() {
            for earlier in members[..<place] {
                if earlier.value.id == member.value.id {
                    section.report(
                        "\(member.key).id", line: member.line,
                        "\(member.value.id) is taken by line \(earlier.line)")
                }
                if earlier.value.address == member.value.address {
                    section.report(
                        "\(member.key).address", line: member.line,
                        "\(member.value.address) is taken by line \(earlier.line)")
                }
            }
        }
        let witnesses = members.filter { $0.value.role == .witness }
        if witnesses.count > Self.witnessesMax {
            let last = witnesses[Self.witnessesMax]
            section.report(
                "\(last.key).role", line: last.line,
                "a mesh has at most one witness, and another only while it is replaced")
        }
        let allRead = !section.faults.contains { $0.key.hasPrefix("members") }
        if allRead, !members.isEmpty, !members.contains(where: { $0.value.role == .data }) {
            section.report("members", line: members[0].line, "no member has role data")
        }
        if members.count > votersMax {
            section.report(
                "members", line: members[votersMax].line,
                "\(members.count) members vote; at most \(votersMax) may")
        }
    }

    private static func check(
        _ primary: Section.Placed<RegionName>?, _ secondaries: [Section.Placed<RegionName>],
        _ members: [Section.Placed<Member>], _ section: inout Section
    ) {
        let regions = Set(members.filter { $0.value.role == .data }.map(\.value.region))
        // While a member is unreadable, what is said of regions could be its echo.
        guard !regions.isEmpty, !section.faults.contains(where: { $0.key.hasPrefix("members") })
        else { return }
        for named in [primary].compactMap({ $0 }) + secondaries
        where !regions.contains(named.value) {
            section.report(
                named.key, line: named.line, "no data member is in region \(named.value)")
        }
        for (place, secondary) in secondaries.enumerated() {
            if secondary.value == primary?.value {
                section.report(
                    secondary.key, line: secondary.line, "\(secondary.value) is the primaryRegion")
            }
            if secondaries[..<place].contains(where: { $0.value == secondary.value }) {
                section.report(secondary.key, line: secondary.line, "is given twice")
            }
        }
    }
}

extension Section {
    /// The longest configuration file: far above any real one.
    static let documentByteCountMax = 64 << 10
    /// An alias may stand for others, and these for others again: so many grow to a hundred thousand
    /// nodes at most, and two more each double them.
    static let aliasesMax = 32

    init(document text: String, file: String) throws(Faults) {
        func fault(_ line: Int?, _ problem: String) -> Faults {
            Faults(all: [Fault(file: file, line: line, key: "", problem: problem)])
        }
        guard text.utf8.count <= Self.documentByteCountMax else {
            throw fault(nil, "is longer than \(Self.documentByteCountMax) bytes")
        }
        guard Self.aliasesAtMost(in: text) <= Self.aliasesMax else {
            throw fault(nil, "has more than \(Self.aliasesMax) aliases (*name); write them out")
        }
        let node: Node?
        // Yams would look up the encoding in the environment, which costs a sixth of the parsing, and
        // would print what it finds there.
        do { node = try Yams.compose(yaml: text, .default, .default, .utf8) } catch {
            throw fault((error as? YamlError)?.line, "is not YAML: \(error)")
        }
        guard let node else { throw fault(nil, "is empty; expected a mapping of keys") }
        self.init(node, file: file)
    }

    /// Every `*` may be one, except in lines of comment. In ASCII, for YAML also ends lines with
    /// characters that are not.
    private static func aliasesAtMost(in text: String) -> Int {
        text.utf8.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
            .filter { line in
                let first = line.first { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
                return first != UInt8(ascii: "#") || line.contains { $0 >= 0x80 }
            }
            .reduce(0) { count, line in count + line.count { $0 == UInt8(ascii: "*") } }
    }
}

extension YamlError {
    /// Where the parser stopped, from 1.
    fileprivate var line: Int? {
        switch self {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _):
            mark.line
        case .duplicatedKeysInMapping(_, let context): context.mark.line
        default: nil
        }
    }
}
