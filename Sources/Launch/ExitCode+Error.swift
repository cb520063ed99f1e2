internal import Control
internal import Disk
internal import Glibc
internal import JournalCore
package import Logging
package import Mesh
package import Settings
internal import Store
internal import Transport

extension ExitCode {
    /// What a fault at start is for the service manager.
    package static func code(of error: any Error) -> Int32 {
        switch error {
        case let error as DiskError where error.cause == .system(EWOULDBLOCK): busy
        case is StateDirectory.Taken, SocketRefused.taken: busy
        case let error as ListenRefused where error.isTaken: busy
        case is DiskError, is JournalError, is StateFile.Failed, is any DataAtFault: disk
        case is CredentialsRefused, is StoreRefused, is any SettingsAtFault: config
        case SocketRefused.tooLong: config
        default: fault
        }
    }

    package static func explain(_ error: any Error) -> String {
        if let error = error as? DiskError, error.cause == .system(EWOULDBLOCK) {
            let taken = StateDirectory.Taken(
                path: error.file, holder: LockHolder(of: error.file))
            return "\(taken)"
        }
        return "\(error)"
    }
}

/// What a node holds is not what it must hold: no restart mends that.
package protocol DataAtFault: Error, CustomStringConvertible {}

/// What the settings ask for can't be had: no restart mends that either.
package protocol SettingsAtFault: Error, CustomStringConvertible {}

extension LevelAhead: SettingsAtFault {}

/// Written by a later release, for what is damaged has failed its checksum before.
package struct UnreadableBase: SettingsAtFault {
    package let place: String
    package let why: String
    package init(place: String, why: String) { (self.place, self.why) = (place, why) }
    package var description: String { "\(place) can't be read here (\(why)): " + LevelAhead.remedy }
}

/// What to do about it.
package enum DataAtFaultAdvice {
    package static let leaveOff =
        "Put its own files back if they were moved; otherwise leave this node off, the others go on "
        + "without it. Never init it anew: it would vote without what it promised"
}

extension Logger {
    package init(_ settings: AgentSettings) {
        let level = Logger.Level(rawValue: settings.node.logLevel.rawValue) ?? .info
        let format: LineLog.Format = settings.node.logFormat == .json ? .json : .text
        self.init(label: "holdfast") { _ in LineLog(level: level, format: format) }
    }
}
