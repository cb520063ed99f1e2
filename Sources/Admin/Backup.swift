/// The body of `POST /v1/backup`.
package struct BackupRequest: Codable, Hashable, Sendable {
    /// Everything is read, not only what the log says has changed.
    package var full: Bool
    /// Bytes of objects in a second, at most, instead of what the node's file says; nil leaves it at that.
    package var rate: UInt64?

    package init(full: Bool, rate: UInt64? = nil) { (self.full, self.rate) = (full, rate) }
}

/// One backup, as its manifest tells of it.
package struct BackupReport: Codable, Hashable, Sendable {
    package enum Kind: String, Codable, Hashable, Sendable {
        case full, incremental
    }

    package struct Volume: Codable, Hashable, Sendable {
        package var id: UInt64
        package var name: String
        package var byteCount: UInt64

        package init(id: UInt64, name: String, byteCount: UInt64) {
            (self.id, self.name, self.byteCount) = (id, name, byteCount)
        }
    }

    package var number: UInt64
    package var kind: Kind
    /// All entries up to here are in it.
    package var position: PositionReport
    package var epoch: UInt64
    /// The leader's wall time there, in milliseconds since 1970.
    package var unixMilliseconds: UInt64
    package var volumes: [Volume]

    package init(
        number: UInt64, kind: Kind, position: PositionReport, epoch: UInt64,
        unixMilliseconds: UInt64, volumes: [Volume]
    ) {
        (self.number, self.kind, self.position, self.epoch) = (number, kind, position, epoch)
        (self.unixMilliseconds, self.volumes) = (unixMilliseconds, volumes)
    }
}

/// The answer of `GET /v1/backup`: the last backup that this node began.
package struct BackupJobReport: Codable, Hashable, Sendable {
    package enum State: String, Codable, Hashable, Sendable {
        case none, running, done, failed
    }

    package var state: State
    /// As in "volumes"; of one that runs.
    package var phase: String?
    package var readBytes: UInt64
    /// What is to be read at most; 0 while that is not known.
    package var wantedBytes: UInt64
    package var storedBytes: UInt64
    package var milliseconds: UInt64
    package var backup: BackupReport?
    package var failure: String?
    /// nil where the node does not ship its log.
    package var log: LogShippingReport?
    /// Where a repository is in several stores: why some of them lack what others have. nil where none does.
    package var lacking: [String]?
    /// What the last full backup found changed that the log had not told of: earlier backups may be wrong there.
    package var untold: [String]?
    /// Why the last backup may lack what guests flushed just before it was asked for; nil where it has all of that.
    package var mayLack: String?
    /// nil where the cluster file has none.
    package var schedule: BackupScheduleReport?
    /// nil where the node does not read over the repository.
    package var scrub: RepositoryScrubReport?

    package init(
        state: State, phase: String? = nil, readBytes: UInt64 = 0, wantedBytes: UInt64 = 0,
        storedBytes: UInt64 = 0, milliseconds: UInt64 = 0, backup: BackupReport? = nil,
        failure: String? = nil, log: LogShippingReport? = nil
    ) {
        self.log = log
        (self.state, self.phase, self.readBytes) = (state, phase, readBytes)
        (self.wantedBytes, self.storedBytes) = (wantedBytes, storedBytes)
        (self.milliseconds, self.backup, self.failure) = (milliseconds, backup, failure)
    }
}

/// Why no backup begins.
package enum BackupRefused: Hashable, Sendable {
    /// The node's file names no repository.
    case notConfigured
    case isRunning(phase: String)
}

/// How far a node has shipped its log to the repository.
package struct LogShippingReport: Codable, Hashable, Sendable {
    package enum State: String, Codable, Hashable, Sendable {
        /// Another node is primary.
        case standsBy
        case ships
        case failing
    }

    package var state: State
    /// The last entry there, as far as this node knows.
    package var through: UInt64?
    /// The leader's wall time at that entry, in milliseconds since 1970.
    package var unixMilliseconds: UInt64?
    /// How old the first write is, at most, that is not there yet; nil where that is not known.
    package var behindMilliseconds: UInt64?
    /// How often, since this node started, the archive began anew behind what was there.
    package var breaks: UInt64
    package var failure: String?

    package init(
        state: State, through: UInt64?, unixMilliseconds: UInt64?, behindMilliseconds: UInt64?,
        breaks: UInt64, failure: String?
    ) {
        self.breaks = breaks
        (self.state, self.through, self.unixMilliseconds) = (state, through, unixMilliseconds)
        (self.behindMilliseconds, self.failure) = (behindMilliseconds, failure)
    }
}
