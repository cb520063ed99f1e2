package import Decisions
internal import Mesh
internal import SwiftProtobuf

extension Command {
    /// The longest command: far above the largest lawful one, far below a record.
    package static let byteCountMax = 4_096

    package var encoded: [UInt8] { encoded(request: 0) }

    /// `request` tells the same command apart that was asked twice.
    package func encoded(request: UInt64) -> [UInt8] {
        var payload = CommandPayload()
        payload.request = request
        switch self {
        case .promote(let node, let epoch, let warrant):
            payload.promote = PromoteCommand.with {
                $0.node = node.rawValue
                $0.epoch = epoch.rawValue
                switch warrant {
                case .firstPrimary: $0.firstPrimary = true
                case .leaseEnded(let renewal): $0.leaseEndedRenewal = renewal.rawValue
                case .relinquished(let index): $0.relinquishedAt = index.rawValue
                }
            }
        case .relinquish(let epoch):
            payload.relinquish = RelinquishCommand.with { $0.epoch = epoch.rawValue }
        case .createVolume(let name, let byteCount, let durability):
            payload.createVolume = CreateVolumeCommand.with {
                $0.name = name
                $0.byteCount = byteCount
                $0.durability = durability.mode
            }
        case .deleteVolume(let volume):
            payload.deleteVolume = DeleteVolumeCommand.with { $0.volume = volume.rawValue }
        case .growVolume(let volume, let byteCount):
            payload.growVolume = GrowVolumeCommand.with {
                $0.volume = volume.rawValue
                $0.byteCount = byteCount
            }
        case .prefer(let region):
            payload.prefer = PreferCommand.with { $0.region = region.text }
        case .changeMembers(let change): payload.changeMembers = ChangeMembersCommand(change)
        case .cancelMembers: payload.cancelMembers = CancelMembersCommand()
        case .raiseLevel(let level):
            payload.raiseLevel = RaiseLevelCommand.with { $0.level = UInt64(level.rawValue) }
        case .backup(let news): news.put(into: &payload)
        }
        return payload.wireBytes
    }

    package init(parsing bytes: some Collection<UInt8>) throws(PayloadRefused) {
        let payload = try CommandPayload(checked: bytes, limit: Self.byteCountMax)
        switch payload.command {
        case .promote(let command):
            self = .promote(
                node: NodeID(command.node), epoch: Epoch(command.epoch),
                warrant: try Warrant(command.warrant))
        case .relinquish(let command): self = .relinquish(epoch: Epoch(command.epoch))
        case .createVolume(let command):
            self = .createVolume(
                name: command.name, byteCount: command.byteCount,
                durability: try Durability(command.durability))
        case .deleteVolume(let command): self = .deleteVolume(VolumeID(command.volume))
        case .growVolume(let command):
            self = .growVolume(VolumeID(command.volume), byteCount: command.byteCount)
        case .prefer(let command): self = .prefer(try RegionName(checked: command.region))
        case .changeMembers(let command): self = .changeMembers(try MemberChange(command))
        case .cancelMembers: self = .cancelMembers
        case .raiseLevel(let command): self = .raiseLevel(try FeatureLevel(checked: command.level))
        case .claimBackup(let command): self = .backup(try BackupNews(command))
        case .renewBackup(let command): self = .backup(.renewed(claim: LogIndex(command.claim)))
        case .madeBackup(let command): self = .backup(try BackupNews(command))
        case .failedBackup(let command): self = .backup(try BackupNews(command))
        case nil: throw .unknownCommand
        }
    }
}

extension Warrant {
    fileprivate init(_ warrant: PromoteCommand.OneOf_Warrant?) throws(PayloadRefused) {
        switch warrant {
        case .firstPrimary(true): self = .firstPrimary
        case .firstPrimary(false): throw .unlawful(field: "firstPrimary", value: "false")
        case .leaseEndedRenewal(let index): self = .leaseEnded(renewal: LogIndex(index))
        case .relinquishedAt(let index): self = .relinquished(at: LogIndex(index))
        case nil: throw .missing(field: "warrant")
        }
    }
}

extension Durability {
    var mode: DurabilityMode {
        switch self {
        case .sync: .sync
        case .async: .async
        }
    }

    init(_ mode: DurabilityMode) throws(PayloadRefused) {
        switch mode {
        case .sync: self = .sync
        case .async: self = .async
        case .unspecified: throw .missing(field: "durability")
        case .UNRECOGNIZED(let number):
            throw .unlawful(field: "durability", value: String(number))
        }
    }
}

extension FeatureLevel {
    init(checked number: UInt64) throws(PayloadRefused) {
        guard let level = FeatureLevel(number) else {
            throw .unlawful(field: "level", value: String(number))
        }
        self = level
    }
}

extension RegionName {
    init(checked text: String) throws(PayloadRefused) {
        guard let name = RegionName(text) else { throw .unlawful(field: "region", value: text) }
        self = name
    }
}

extension SwiftProtobuf.Message {
    /// These messages have no required fields and no `Any`, so encoding them cannot fail.
    var wireBytes: [UInt8] {
        do { return try serializedBytes() } catch {
            invariant(false, "encoding \(Self.self) failed: \(error)")
            return []
        }
    }

    init(checked bytes: some Collection<UInt8>, limit: Int) throws(PayloadRefused) {
        guard bytes.count <= limit else {
            throw .oversized(byteCount: bytes.count, limit: limit)
        }
        do { try self.init(serializedBytes: Array(bytes)) } catch { throw .undecodable }
    }
}
