internal import Admin
internal import Decisions
internal import FoundationEssentials
internal import Mesh
internal import Schedule
internal import Settings
internal import StoreChoice

/// Configuration files, read and shown.
enum ConfigFile {
    static func text(_ file: String) throws(Failure) -> String {
        guard let text = read(file) else {
            throw Failure(.refused, "\(file) cannot be read; check that it exists and is UTF-8")
        }
        return text
    }

    static func agent(_ file: String) throws(Failure) -> AgentSettings {
        try checked { () throws(Faults) in try AgentSettings(file: file, read: read) }
    }

    /// What a path given for a repository stands for: its directory, or the store file that says where it is.
    static func store(_ path: String) throws(Failure) -> StoreSettings {
        guard !path.hasPrefix("s3://") else {
            throw Failure(
                .refused,
                "\(path) is no path\n  Name the bucket in a store file (docs/backups.md), and give that "
                    + "file's path.")
        }
        guard StoreChoice.isStoreFile(path) else { return .directory(path) }
        let text = try text(path)
        return try checked { () throws(Faults) in
            try StoreSettings(parsing: text, file: path, isForAgent: false)
        }
    }

    static func checked<Value>(_ body: () throws(Faults) -> Value) throws(Failure) -> Value {
        do { return try body() } catch {
            throw Failure(
                .refused, "\(counted(error.all.count, "fault"))\n" + error.description)
        }
    }

    /// The cluster's file is told from a node's by a key that only it has.
    static func isCluster(_ text: String) -> Bool {
        text.split(whereSeparator: \.isNewline).contains { $0.hasPrefix("members:") }
    }

    private static func read(_ file: String) -> String? {
        guard let data = FileManager.default.contents(atPath: file) else { return nil }
        return String(validating: data, as: UTF8.self)
    }

    /// What the reader itself fills in where a file says nothing, so that this can't fall behind it.
    static func defaults() throws(Faults) -> String {
        let node = try NodeSettings(
            parsing: "node: 1\ncluster: c\ntls: {ca: a, certificate: b, key: c}", file: "")
        let cluster = try ClusterSettings(
            parsing: """
                cluster: 00000000000000000000000000000001
                members: [{id: 1, region: a, role: data, address: "a:1"}]
                primaryRegion: a
                """, file: "")
        return """
            # A node's file; node, cluster and tls {ca, certificate, key} have no default.
            data: \(node.data)
            run: \(node.run)
            \(nbdText(node))
            founding: \(node.founding)
            log: {level: \(node.logLevel.rawValue), format: \(node.logFormat.rawValue)}
            logKept: \(node.logKept >> 20)M
            resyncRate: \(node.resyncRate >> 20)M
            scrubDays: \(node.scrubPeriod.nanoseconds / 86_400_000_000_000)
            \(backupText(node))
            \(snapshotsText(node))
            # The cluster's file; cluster, members and primaryRegion have no default.
            secondaryRegions: []
            lease: \(cluster.lease.length)
            \(scheduleText(cluster))
            \(regionsText(cluster))

            """
    }

    private static func nbdText(_ node: NodeSettings) -> String {
        node.nbd.map { "nbd: {listen: \"\($0)\"}" }
            ?? "# nbd: {listen: host:port}  (none: unix sockets only)"
    }

    private static func backupText(_ node: NodeSettings) -> String {
        guard let backup = node.backup else {
            return "# backup: {directory: path, key: file}, or {store: file, key: file}  "
                + "(none: this node makes no backups)"
        }
        let place =
            switch backup.place {
            case .directory(let path): "directory: \(path)"
            case .store(let path): "store: \(path)"
            }
        let days = backup.rotatePeriod.nanoseconds / 86_400_000_000_000
        return "backup: {\(place), key: \(backup.key), shipLog: \(backup.shipsLog), "
            + "shipEvery: \(backup.shipping.every), shipLateAfter: \(backup.shipping.lateAfter), "
            + "rotateDays: \(days)\(backup.rate.map { ", rate: \($0)" } ?? "")}"
    }

    private static func snapshotsText(_ node: NodeSettings) -> String {
        node.snapshotRoom.map { "snapshots: {room: \($0 >> 20)M}" }
            ?? "# snapshots: {room: 10G}  (none: this node holds no snapshots)"
    }

    private static func scheduleText(_ cluster: ClusterSettings) -> String {
        guard let backups = cluster.backups else {
            return "# backups: {schedule: \"15 * * * *\", full: \"0 3 * * 0\"}  "
                + "(none: backups are made by hand only)"
        }
        let full = backups.full.map { ", full: \"\($0)\"" } ?? ""
        return "backups: {schedule: \"\(backups.runs)\"\(full)}"
    }

    private static func regionsText(_ cluster: ClusterSettings) -> String {
        guard let regions = cluster.backupRegions else {
            return "# backupRegions: [region, …]  (none: backups may lie anywhere)"
        }
        return "backupRegions: [\(regions.names.joined(separator: ", "))]"
    }

    static func nodeText(_ node: NodeSettings) -> String {
        """
        # The node's file.
        node: \(node.node)
        cluster: \(node.cluster)
        data: \(node.data)
        run: \(node.run)
        tls: {ca: \(node.tls.ca), certificate: \(node.tls.certificate), key: \(node.tls.key)}
        \(nbdText(node))
        founding: \(node.founding)
        log: {level: \(node.logLevel.rawValue), format: \(node.logFormat.rawValue)}
        logKept: \(node.logKept >> 20)M
        resyncRate: \(node.resyncRate >> 20)M
        scrubDays: \(node.scrubPeriod.nanoseconds / 86_400_000_000_000)
        \(backupText(node))
        \(snapshotsText(node))

        """
    }

    static func clusterText(_ cluster: ClusterSettings) -> String {
        let members = cluster.members.map { member in
            "  - {id: \(member.id), region: \(member.region), role: \(member.role.rawValue), "
                + "address: \"\(member.address)\"}\n"
        }
        let secondaries = cluster.secondaryRegions.map(\.text).joined(separator: ", ")
        return """
            # The cluster's file.
            cluster: \(cluster.cluster)
            members:
            \(members.joined())primaryRegion: \(cluster.primaryRegion)
            secondaryRegions: [\(secondaries)]
            lease: \(cluster.lease.length)
            \(scheduleText(cluster))
            \(regionsText(cluster))

            """
    }
}
