package import Mesh
internal import Yams

/// One node's own file.
package struct NodeSettings: Hashable, Sendable {
    package struct TLS: Hashable, Sendable {
        package let ca: String
        package let certificate: String
        package let key: String
    }

    /// Where this node's backups go.
    package struct Backup: Hashable, Sendable {
        package enum Place: Hashable, Sendable {
            case directory(String)
            /// A store file's path.
            case store(String)
        }

        /// Of the repository.
        package let place: Place
        /// In which region a directory is; nil where nobody said so.
        package let region: String?
        /// The path of a key file or a provider file; what is in it is never part of the settings.
        package let key: String
        /// While this node is primary, the log goes to the repository too.
        package let shipsLog: Bool
        package let shipping: Shipping
        /// What is older is sealed by another key than the next backup.
        package let rotatePeriod: Interval
        /// Bytes of objects that a backup puts there, and reads there, in a second at most; nil where it may take all it gets.
        package let rate: UInt64?
        /// nil where this node does not read over what lies in the repository.
        package let scrub: Scrub?
    }

    /// Slower, one pack would take longer than two minutes.
    package static let backupRateMin: UInt64 = 128 << 10
    package static let backupRateMax: UInt64 = 64 << 30

    /// How all that lies in the repository is read over.
    package struct Scrub: Hashable, Sendable {
        package static let everyMin = Interval.seconds(30)
        package static let everyMax = Interval.seconds(366 * 86_400)
        package static let rateDefault: UInt64 = 50 << 20
        package static let rateMin: UInt64 = 1 << 20
        package static let rateMax: UInt64 = 64 << 30

        /// Each object is read once in that time.
        package let every: Interval
        /// Bytes a second, at most.
        package let rate: UInt64
    }

    /// How the log goes to the repository.
    package struct Shipping: Hashable, Sendable {
        /// Each time an object is made of what came since, and objects cost money: one a second are 2.6 million a month.
        package static let everyDefault = Interval.seconds(1)
        package static let everyMin = Interval.milliseconds(200)
        package static let everyMax = Interval.seconds(60)
        package static let lateAfterDefault = Interval.seconds(30)
        package static let lateAfterMin = Interval.seconds(2)
        package static let lateAfterMax = Interval.seconds(86_400)

        package let every: Interval
        /// A write that is missing for so long is alarmed about.
        package let lateAfter: Interval
    }

    package enum LogLevel: String, Hashable, Sendable, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }

    package enum LogFormat: String, Hashable, Sendable, CaseIterable {
        case text, json
    }

    package static let dataDefault = "/var/lib/holdfast"
    package static let runDefault = "/run/holdfast"
    package static let logKeptDefault: UInt64 = 8 << 30
    /// Less would leave a member behind that only restarts.
    package static let logKeptMin: UInt64 = 16 << 20
    package static let logKeptMax: UInt64 = 1 << 40
    package static let resyncRateDefault: UInt64 = 100 << 20
    package static let resyncRateMin: UInt64 = 1 << 20
    package static let resyncRateMax: UInt64 = 10 << 30
    package static let snapshotRoomMin: UInt64 = 16 << 20
    /// What is kept is known by some 6 MiB of memory for each GiB.
    package static let snapshotRoomMax: UInt64 = 64 << 30
    /// Days.
    package static let scrubDaysDefault: UInt64 = 14
    package static let scrubDaysMax: UInt64 = 365
    /// Days.
    package static let rotateDaysDefault: UInt64 = 90
    package static let rotateDaysMax: UInt64 = 3_650
    /// The longest `run`: a unix socket's name has at most 107 bytes (sockaddr_un, unix(7)), and
    /// `run` has to leave room for that of a volume of one letter, `/volumes/v.sock`.
    package static let runBytesMax = 107 - 15

    package let node: NodeID
    /// The cluster file's path.
    package let cluster: String
    package let data: String
    package let run: String
    package let tls: TLS
    /// Where NBD over TLS is served; nil serves unix sockets only.
    package let nbd: Endpoint?
    /// Whether this node is one of those with whom the mesh begins. One that joins it later founds
    /// nothing, stands for nothing, and waits to be fed.
    package let founding: Bool
    /// Bytes of the log that are kept for a member that is away.
    package let logKept: UInt64
    /// Bytes that this node takes in a second from another while it is behind the log.
    package let resyncRate: UInt64
    /// Once in so long all that the volumes' images hold is read over.
    package let scrubPeriod: Interval
    /// nil where this node makes none.
    package let backup: Backup?
    /// What may be kept on the disk for snapshots; nil where this node holds none.
    package let snapshotRoom: UInt64?
    package let logLevel: LogLevel
    package let logFormat: LogFormat

    /// Relative paths in the file are relative to the file.
    package init(parsing text: String, file: String) throws(Faults) {
        let path = Section.path(beside: file)
        var section = try Section(document: text, file: file)
        let node = section.required("node", expected: "a member's id") { text in
            UInt64(text).flatMap { $0 > 0 ? NodeID($0) : nil }
        }
        let cluster = section.required("cluster", expected: "a file's path", parse: path)
        let data = section.optional("data", expected: "a directory's path", parse: path)
        let run = section.optional("run", expected: "a directory's path", parse: path)
        if let run, run.value.utf8.count > Self.runBytesMax {
            section.report(
                run.key, line: run.line,
                "\(run.value) has \(run.value.utf8.count) bytes; at most \(Self.runBytesMax) leave "
                    + "room for the names of the sockets in it")
        }
        let tls = Self.tls(&section, path: path)
        let nbd = Self.nbd(&section)
        let founding = section.optional("founding", expected: "true or false") { Bool($0) }
        let log = Self.log(&section)
        let kept = Self.bytes("logKept", Self.logKeptMin...Self.logKeptMax, &section)
        let rate = Self.bytes("resyncRate", Self.resyncRateMin...Self.resyncRateMax, &section)
        let days = Self.days("scrubDays", 1...Self.scrubDaysMax, &section)
        let backup = Self.backup(&section, path: path)
        let room = Self.snapshotRoom(&section)
        let faults = section.finish()
        guard faults.isEmpty, let node, let cluster, let tls else { throw Faults(all: faults) }
        self.node = node.value
        self.cluster = cluster.value
        self.data = data?.value ?? Self.dataDefault
        self.run = run?.value ?? Self.runDefault
        self.tls = tls
        self.nbd = nbd
        self.founding = founding?.value ?? true
        logKept = kept ?? Self.logKeptDefault
        resyncRate = rate ?? Self.resyncRateDefault
        scrubPeriod = .seconds((days ?? Self.scrubDaysDefault) * 86_400)
        self.backup = backup
        snapshotRoom = room
        logLevel = log.level
        logFormat = log.format
    }

    private static func tls(_ section: inout Section, path: (String) -> String?) -> TLS? {
        guard let placed = section.node("tls") else {
            section.report("tls", line: 1, "is missing; expected {ca, certificate, key}")
            return nil
        }
        var tls = Section(placed.value, file: section.file, path: placed.key)
        let ca = tls.required("ca", expected: "a file's path", parse: path)
        let certificate = tls.required("certificate", expected: "a file's path", parse: path)
        let key = tls.required("key", expected: "a file's path", parse: path)
        section.adopt(tls.finish())
        guard let ca, let certificate, let key else { return nil }
        return TLS(ca: ca.value, certificate: certificate.value, key: key.value)
    }

    private static func backup(
        _ section: inout Section, path: (String) -> String?
    ) -> Backup? {
        guard let placed = section.node("backup") else { return nil }
        var backup = Section(placed.value, file: section.file, path: placed.key)
        let directory = backup.optional(
            "directory", expected: "a repository's directory", parse: path)
        let store = backup.optional("store", expected: "a store file's path", parse: path)
        let region = backup.optional(
            "region", expected: "the region that the directory is in", parse: S3Settings.region)
        let key = backup.required(
            "key", expected: "the path of a key file or a provider file", parse: path)
        let ships = backup.optional("shipLog", expected: "true or false", parse: Bool.init)
        let shipping = Self.shipping(&backup)
        let days = Self.days("rotateDays", 1...Self.rotateDaysMax, &backup)
        let rate = bytes("rate", Self.backupRateMin...Self.backupRateMax, &backup)
        let scrub = Self.scrub(&backup)
        let place = Self.place(directory, store, placed.line, &backup)
        section.adopt(backup.finish())
        guard let place, let key else { return nil }
        return Backup(
            place: place, region: region?.value, key: key.value, shipsLog: ships?.value ?? true,
            shipping: shipping,
            rotatePeriod: .seconds((days ?? Self.rotateDaysDefault) * 86_400), rate: rate,
            scrub: scrub)
    }

    private static func scrub(_ backup: inout Section) -> Scrub? {
        let every = backup.duration("scrubEvery", Scrub.everyMin...Scrub.everyMax)
        let rate = bytes("scrubRate", Scrub.rateMin...Scrub.rateMax, &backup)
        guard let every else {
            if rate != nil {
                backup.report(
                    backup.path(of: "scrubRate"), line: nil,
                    "says how fast, and nothing says how often: give scrubEvery, such as 30d")
            }
            return nil
        }
        return Scrub(every: every.value, rate: rate ?? Scrub.rateDefault)
    }

    private static func shipping(_ backup: inout Section) -> Shipping {
        let every = backup.duration("shipEvery", Shipping.everyMin...Shipping.everyMax)
        let late = backup.duration(
            "shipLateAfter", Shipping.lateAfterMin...Shipping.lateAfterMax)
        let shipping = Shipping(
            every: every?.value ?? Shipping.everyDefault,
            lateAfter: late?.value ?? Shipping.lateAfterDefault)
        // What goes each second is a second or two old all the time.
        if shipping.lateAfter < shipping.every * 2 {
            backup.report(
                backup.path(of: "shipLateAfter"), line: late?.line ?? every?.line,
                "\(shipping.lateAfter) is less than twice shipEvery (\(shipping.every)): the alarm would "
                    + "stand all the time")
        }
        return shipping
    }

    private static func place(
        _ directory: Section.Placed<String>?, _ store: Section.Placed<String>?, _ line: Int,
        _ backup: inout Section
    ) -> Backup.Place? {
        if let directory, let store {
            backup.report(
                store.key, line: store.line,
                "is given besides \(directory.key); which of them is it?")
        }
        // What is there and wrong has been named.
        if directory == nil, store == nil, backup.faults.isEmpty {
            backup.report(
                backup.path(of: "directory"), line: line,
                "is missing; expected a repository's directory, or store: a store file's path")
        }
        return directory.map { .directory($0.value) } ?? store.map { .store($0.value) }
    }

    private static func nbd(_ section: inout Section) -> Endpoint? {
        guard let placed = section.node("nbd") else { return nil }
        var nbd = Section(placed.value, file: section.file, path: placed.key)
        let listen = nbd.required("listen", expected: "host:port", parse: Endpoint.init(_:))
        section.adopt(nbd.finish())
        return listen?.value
    }

    private static func snapshotRoom(_ section: inout Section) -> UInt64? {
        guard let placed = section.node("snapshots") else { return nil }
        var snapshots = Section(placed.value, file: section.file, path: placed.key)
        let room = bytes("room", snapshotRoomMin...snapshotRoomMax, &snapshots)
        let faults = snapshots.finish()
        section.adopt(faults)
        if room == nil, faults.isEmpty {
            section.report(
                snapshots.path(of: "room"), line: nil, "is missing; expected a size, such as 10G")
        }
        return room
    }

    private static func bytes(
        _ key: String, _ range: ClosedRange<UInt64>, _ section: inout Section
    ) -> UInt64? {
        func words(_ count: UInt64) -> String {
            switch count {
            case ..<(1 << 20): "\(count >> 10)K"
            case ..<(1 << 30): "\(count >> 20)M"
            default: "\(count >> 30)G"
            }
        }
        let (least, most) = (words(range.lowerBound), words(range.upperBound))
        return section.optional(key, expected: "a size of \(least) to \(most), such as 1G") {
            text in
            byteCount(text).flatMap { range.contains($0) ? $0 : nil }
        }?.value
    }

    private static func days(
        _ key: String, _ range: ClosedRange<UInt64>, _ section: inout Section
    ) -> UInt64? {
        let expected = "a number of days from \(range.lowerBound) to \(range.upperBound)"
        return section.optional(key, expected: expected) { text in
            UInt64(text).flatMap { range.contains($0) ? $0 : nil }
        }?.value
    }

    private static func log(_ section: inout Section) -> (level: LogLevel, format: LogFormat) {
        guard let placed = section.node("log") else { return (.info, .text) }
        var log = Section(placed.value, file: section.file, path: placed.key)
        let levels = LogLevel.allCases.map(\.rawValue).joined(separator: ", ")
        let level = log.optional(
            "level", expected: "one of \(levels)", parse: LogLevel.init(rawValue:))
        let format = log.optional(
            "format", expected: "text or json", parse: LogFormat.init(rawValue:))
        section.adopt(log.finish())
        return (level?.value ?? .info, format?.value ?? .text)
    }
}

/// A node's files together, checked against each other.
package struct AgentSettings: Hashable, Sendable {
    package let node: NodeSettings
    package let cluster: ClusterSettings
    package let member: Member
    /// nil where this node makes no backups.
    package let backup: Backup?

    package struct Backup: Hashable, Sendable {
        package let store: StoreSettings
        /// The path of a key file or a provider file.
        package let key: String
        package let shipsLog: Bool
        package let shipping: NodeSettings.Shipping
        package let rotatePeriod: Interval
        package let rate: UInt64?
        package let scrub: NodeSettings.Scrub?
    }

    /// `read` gives a file's text, or nil when it cannot be read.
    package init(file: String, read: (String) -> String?) throws(Faults) {
        func load(_ file: String) throws(Faults) -> String {
            guard let text = read(file) else {
                throw Faults(all: [
                    Fault(
                        file: file, line: nil, key: "",
                        problem: "cannot be read; check that it exists and is readable UTF-8")
                ])
            }
            return text
        }
        let node = try NodeSettings(parsing: try load(file), file: file)
        let cluster = try ClusterSettings(parsing: try load(node.cluster), file: node.cluster)
        guard let member = cluster.members.first(where: { $0.id == node.node }) else {
            let ids = cluster.members.map(\.id.description).joined(separator: ", ")
            throw Faults(all: [
                Fault(
                    file: file, line: nil, key: "node",
                    problem: "\(node.node) is no member in \(node.cluster), which names \(ids)")
            ])
        }
        backup = try node.backup.map { backup throws(Faults) in
            let store: StoreSettings =
                switch backup.place {
                case .directory(let path):
                    try Self.directory(path, in: backup.region, cluster.backupRegions, file)
                case .store(let store):
                    try StoreSettings(
                        parsing: try load(store), file: store, isForAgent: true,
                        regions: cluster.backupRegions)
                }
            return Backup(
                store: store, key: backup.key, shipsLog: backup.shipsLog,
                shipping: backup.shipping, rotatePeriod: backup.rotatePeriod, rate: backup.rate,
                scrub: backup.scrub)
        }
        self.node = node
        self.cluster = cluster
        self.member = member
    }

    private static func directory(
        _ path: String, in region: String?, _ allowed: BackupRegions?, _ file: String
    ) throws(Faults) -> StoreSettings {
        if let words = allowed?.fault(of: region) {
            throw Faults(all: [
                Fault(file: file, line: nil, key: "backup.directory", problem: words)
            ])
        }
        return .directory(path)
    }
}
