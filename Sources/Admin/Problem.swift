/// The body of every answer that is not a success (RFC 9457), sent as `application/problem+json`.
package struct Problem: Error, Codable, Hashable, Sendable {
    package static let mediaType = "application/problem+json"
    private static let prefix = "urn:holdfast:problem:"

    package var type: String
    package var title: String
    package var status: Int
    package var detail: String
    /// What to do.
    package var remedy: String

    package init(_ code: String, _ status: Int, _ title: String, _ detail: String, _ remedy: String)
    {
        type = Self.prefix + code
        self.title = title
        self.status = status
        self.detail = detail
        self.remedy = remedy
    }

    /// The last part of `type`, for programs: `volume-exists`.
    package var code: String {
        type.hasPrefix(Self.prefix) ? String(type.dropFirst(Self.prefix.count)) : type
    }

    /// The mesh could not decide in time: asking again later may help, changing the request won't.
    package var isForWantOfQuorum: Bool { Self.undecided.contains(code) }
    private static let undecided = ["no-quorum", "primary-away", "timed-out", "overtaken"]
}

extension Problem {
    package init(_ refused: AdminRefused) {
        switch refused {
        case .mesh(let refused): self.init(refused)
        case .node(let refused): self.init(refused)
        case .volume(let refused): self.init(refused)
        case .region(let refused): self.init(refused)
        case .alarm(let refused): self.init(refused)
        case .member(let refused): self.init(refused)
        case .backup(let refused): self.init(refused)
        case .snapshot(let refused): self.init(refused)
        }
    }

    private init(_ refused: MeshRefused) {
        switch refused {
        case .noQuorum(let reachable, let needed):
            self.init(
                "no-quorum", 503, "No quorum",
                "\(counted(reachable, "voter is", "voters are")) reachable, "
                    + "\(counted(needed, "is", "are")) needed: nothing can be decided.",
                "Bring another member up, then ask again; see `holdfast status`.")
        case .notPrimary(let primary?):
            self.init(
                "not-primary", 409, "This node is not the acting primary",
                "The primary is region \(primary).", "Ask a node of region \(primary).")
        case .notPrimary(nil):
            self.init(
                "not-primary", 409, "This node is not the acting primary",
                "The mesh has no primary yet.", "Wait until `holdfast status` names a primary.")
        case .primaryAway(let last):
            self.init(
                "primary-away", 503, "The primary is away",
                "Region \(last) was primary and is not heard; nothing was done.",
                "Wait until `holdfast status` names a primary that is heard, then ask it.")
        case .timedOut(let doing, let seconds):
            self.init(
                "timed-out", 504, "Not decided in time",
                "\(doing): no decision within \(seconds) s; it may still take effect.",
                "Look whether it happened before you ask again.")
        case .levelTooLow(let why):
            self.init(
                "level-too-low", 409, "The mesh does not speak this yet", why,
                "Upgrade the nodes that are named, then ask again; see docs/upgrade.md.")
        case .overtaken(let why):
            self.init(
                "overtaken", 503, "The mesh went on meanwhile", "Nothing was changed: \(why).",
                "Ask again.")
        }
    }

    private init(_ refused: NodeRefused) {
        switch refused {
        case .busy(let doing):
            self.init(
                "busy", 409, "Something else is under way", "The node is \(doing).",
                "Wait until that has ended, then ask again.")
        case .witness(let cannot):
            self.init(
                "witness", 409, "A witness does not do this", "A witness \(cannot).",
                "Ask a node with role data.")
        case .stopping:
            self.init(
                "stopping", 503, "The node is stopping",
                "It finishes what it has begun and takes nothing new.", "Ask another node.")
        case .mending:
            self.init(
                "mending", 503, "The node mends its log",
                "Its log is damaged, and it has no part in the mesh until that is mended.",
                "Ask another node; `holdfast status` here says what is missing.")
        case .diskFull(let why):
            self.init(
                "disk-full", 507, "The disk is full", why,
                "Free space on the data directory's file system, then ask again.")
        case .entriesAbsent(let first, let last):
            self.init(
                "entries-absent", 404, "The log does not hold these entries",
                first <= last
                    ? "This node's log holds the indexes \(first) to \(last)."
                    : "This node's log holds no entries; its next one is \(first).",
                "Ask for indexes within them.")
        case .mishap(let why):
            self.init(
                "mishap", 500, "It failed on this node", why,
                "See `holdfast status` for alarms, and this node's log for the cause.")
        }
    }

    /// So many volumes are named to one who misspelled one; there may be a thousand.
    package static let volumesNamedMax = 16

    private static func choice(of volumes: [String]) -> String {
        guard !volumes.isEmpty else { return "See `holdfast volume list`." }
        let named = volumes.prefix(volumesNamedMax).joined(separator: ", ")
        let rest = volumes.count - volumesNamedMax
        return rest > 0
            ? "Use one of: \(named) and \(rest) more; see `holdfast volume list`."
            : "Use one of: \(named)."
    }

    private init(_ refused: VolumeRefused) {
        switch refused {
        case .exists(let name):
            self.init(
                "volume-exists", 409, "The volume exists", "A volume named \(name) exists.",
                "Choose another name; `holdfast volume list` shows those taken.")
        case .unknown(let name, let known):
            self.init(
                "volume-unknown", 404, "No such volume", "There is no volume named \(name).",
                Self.choice(of: known))
        case .nameUnlawful(let name, let expected):
            self.init(
                "volume-name", 422, "Not a volume's name",
                "\(name.debugDescription) is not \(expected).", "Choose such a name.")
        case .sizeUnlawful(let byteCount, let expected):
            self.init(
                "volume-size", 422, "Not a volume's size",
                "\(byteCount) bytes is not \(expected).", "Choose such a size.")
        case .inUse(let name, let clients):
            self.init(
                "volume-in-use", 409, "The volume is in use",
                "\(counted(clients, "client has", "clients have")) \(name) open.",
                "Disconnect them, then ask again.")
        case .shrinks(let name, let from, let to):
            self.init(
                "volume-shrinks", 409, "Volumes never get shorter",
                "\(name) has \(from) bytes, and \(to) are fewer.",
                "Make a new volume of that size and copy into it what you need.")
        case .rangeUnlawful(let name, let expected):
            self.init(
                "volume-range", 422, "Not a range of the volume",
                "That is not \(expected) of \(name).", "Choose such a range.")
        case .onlyHere(let name):
            self.init(
                "volume-only-here", 409, "No other replica is heard",
                "Nobody is heard who could give bytes of \(name).",
                "Bring another whole data member up, then ask again.")
        case .tooMany(let limit):
            self.init(
                "too-many-volumes", 409, "Too many volumes",
                "There \(limit == 1 ? "is" : "are") \(counted(limit, "volume")), and no more are allowed.",
                "Delete one that is no longer needed.")
        }
    }

    private init(_ refused: BackupRefused) {
        switch refused {
        case .notConfigured:
            self.init(
                "backup-not-configured", 409, "This node makes no backups",
                "Its file names no repository.",
                "Put backup: {directory: …, key: …} into the node's file and start it again; see "
                    + "`holdfast repository create`.")
        case .isRunning(let phase):
            self.init(
                "backup-running", 409, "A backup is under way",
                "This node makes one now (\(phase)).", "Follow it with `holdfast backup status`.")
        }
    }

    private init(_ refused: AlarmRefused) {
        switch refused {
        case .unknown(let name, let known):
            self.init(
                "alarm-unknown", 404, "No such alarm", "There is no alarm named \(name).",
                "Use one of: \(known.joined(separator: ", ")).")
        case .endsByItself(let name):
            self.init(
                "alarm-ends-by-itself", 409, "This alarm is not to be cleared",
                "\(name) tells of what is so now, and ends with it.",
                "Do what `holdfast alarm list` says of it.")
        }
    }

    private init(_ refused: RegionRefused) {
        switch refused {
        case .unknown(let name, let known):
            self.init(
                "region-unknown", 404, "No such region", "No data member is in region \(name).",
                "Use one of: \(known.joined(separator: ", ")).")
        case .notReady(let name, let why):
            self.init(
                "region-not-ready", 409, "The region is not ready",
                "Region \(name) cannot become primary now: \(why).",
                "Wait until `holdfast members` shows it alive and without lag.")
        case .isPrimary(let name):
            self.init(
                "region-is-primary", 409, "The region is primary already",
                "Region \(name) is the primary.", "Nothing is to be done.")
        }
    }
}
