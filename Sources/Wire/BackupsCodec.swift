internal import Decisions
internal import Mesh
internal import SwiftProtobuf

/// Backups of the schedule, as the log's commands and the snapshots have them.
extension BackupNews {
    func put(into payload: inout CommandPayload) {
        switch self {
        case .claimed(let slot, let isFull, let node, let over):
            payload.claimBackup = BackupClaimCommand.with {
                ($0.slot, $0.full) = (slot.rawValue, isFull)
                ($0.node, $0.over) = (node.rawValue, over?.rawValue ?? 0)
            }
        case .renewed(let claim):
            payload.renewBackup = BackupRenewCommand.with { $0.claim = claim.rawValue }
        case .made(let made, let claim):
            payload.madeBackup = BackupMadeCommand.with {
                ($0.made, $0.claim) = (BackupMadeImage(made), claim?.rawValue ?? 0)
            }
        case .failed(let claim, let words):
            payload.failedBackup = BackupFailedCommand.with {
                ($0.claim, $0.words) = (claim.rawValue, words)
            }
        }
    }

    init(_ command: BackupClaimCommand) throws(PayloadRefused) {
        self = .claimed(
            slot: WallTime(command.slot), isFull: command.full, by: NodeID(command.node),
            over: command.over == 0 ? nil : LogIndex(command.over))
    }

    init(_ command: BackupMadeCommand) throws(PayloadRefused) {
        guard command.hasMade else { throw .missing(field: "made") }
        self = .made(
            BackupDuty.Made(command.made), claim: command.claim == 0 ? nil : LogIndex(command.claim)
        )
    }

    init(_ command: BackupFailedCommand) throws(PayloadRefused) {
        try BackupFailureImage.check(command.words)
        self = .failed(claim: LogIndex(command.claim), words: command.words)
    }
}

extension BackupMadeImage {
    fileprivate init(_ made: BackupDuty.Made) {
        self.init()
        (number, node) = (made.number, made.node.rawValue)
        (asOf, full) = (made.asOf.rawValue, made.isFull)
    }
}

extension BackupDuty.Made {
    fileprivate init(_ image: BackupMadeImage) {
        self.init(
            number: image.number, node: NodeID(image.node), asOf: WallTime(image.asOf),
            isFull: image.full)
    }
}

extension BackupClaimImage {
    fileprivate init(_ claim: BackupDuty.Claim) {
        self.init()
        (node, slot, full) = (claim.node.rawValue, claim.slot.rawValue, claim.isFull)
        (since, renewal) = (claim.since.rawValue, claim.renewal.rawValue)
    }
}

extension BackupDuty.Claim {
    fileprivate init(_ image: BackupClaimImage) {
        self.init(
            node: NodeID(image.node), slot: WallTime(image.slot), isFull: image.full,
            since: LogIndex(image.since), renewal: LogIndex(image.renewal))
    }
}

extension BackupDuty.Failure {
    fileprivate init(_ image: BackupFailureImage) {
        self.init(
            node: NodeID(image.node), slot: WallTime(image.slot), at: WallTime(image.at),
            words: image.words)
    }
}

extension BackupFailureImage {
    fileprivate init(_ failure: BackupDuty.Failure) {
        self.init()
        (node, slot) = (failure.node.rawValue, failure.slot.rawValue)
        (at, words) = (failure.at.rawValue, failure.words)
    }

    static func check(_ words: String) throws(PayloadRefused) {
        guard words.utf8.count <= BackupDuty.failureBytesMax else {
            throw .unlawful(field: "words", value: "of \(words.utf8.count) bytes")
        }
    }
}

extension BackupsImage {
    init(_ duty: BackupDuty) {
        self.init()
        claim = duty.claim.map { [BackupClaimImage($0)] } ?? []
        newest = duty.newest.map { [BackupMadeImage($0)] } ?? []
        (settled, settledFull) = (duty.settled.rawValue, duty.settledFull.rawValue)
        attempted = duty.attempts?.slot.rawValue ?? 0
        attempts = duty.attempts?.count ?? 0
        failure = duty.failure.map { [BackupFailureImage($0)] } ?? []
        failures = duty.failures
    }
}

extension BackupDuty {
    init(checked image: DecisionsImage) throws(PayloadRefused) {
        guard let backups = image.backups.first else {
            self.init()
            return
        }
        guard image.level >= UInt64(FeatureLevel.backups.rawValue) else {
            throw .unlawful(field: "backups", value: "below their feature level")
        }
        let counts = [
            image.backups.count, backups.claim.count, backups.newest.count, backups.failure.count,
        ]
        guard counts.allSatisfy({ $0 <= 1 }) else {
            throw .unlawful(field: "backups", value: "given twice")
        }
        try Self.check(backups)
        try Self.check(backups.claim.first, of: backups, applied: image.appliedIndex)
        self.init(
            claim: backups.claim.first.map(Claim.init), newest: backups.newest.first.map(Made.init),
            settled: WallTime(backups.settled), settledFull: WallTime(backups.settledFull),
            attempts: backups.attempts > 0
                ? Attempts(slot: WallTime(backups.attempted), count: backups.attempts) : nil,
            failure: backups.failure.first.map(Failure.init), failures: backups.failures)
    }

    private static func check(_ backups: BackupsImage) throws(PayloadRefused) {
        guard backups.attempts <= attemptsMax, (backups.attempts == 0) == (backups.attempted == 0)
        else { throw .unlawful(field: "attempts", value: "\(backups.attempts)") }
        guard backups.failures <= LogIndex.countMax.rawValue,
            (backups.failures > 0) == (backups.failure.count == 1)
        else { throw .unlawful(field: "failures", value: "\(backups.failures)") }
        try BackupFailureImage.check(backups.failure.first?.words ?? "")
    }

    private static func check(
        _ claim: BackupClaimImage?, of backups: BackupsImage, applied: UInt64
    ) throws(PayloadRefused) {
        guard let claim else { return }
        guard claim.since > 0, claim.since <= claim.renewal, claim.renewal <= applied else {
            throw .unlawful(field: "claim.renewal", value: "\(claim.renewal)")
        }
        // Whose claim stands has claimed its slot.
        guard claim.slot == backups.attempted else {
            throw .unlawful(field: "claim.slot", value: "\(claim.slot)")
        }
    }
}
