internal import NIOConcurrencyHelpers
package import Pacing
package import Repository
internal import S3Protocol
internal import Sealing

/// Objects that nobody can delete or change for a time.
extension S3Store {
    /// What a look at all locks found, and did.
    package struct LockReport: Hashable, Sendable {
        /// Versions whose lock was asked for.
        package internal(set) var looked = 0
        package internal(set) var extended = 0
        /// Of these, such as had no lock.
        package internal(set) var unlocked = 0
    }

    /// Neither of these is anybody's only copy. All else is what backups rest on, or stands in their way where it is changed.
    static func isLocked(_ name: String) -> Bool {
        name != trial && !name.hasPrefix(quarantine + "/")
    }

    /// A name is rightly used again a few times at most.
    private static let lockedVersionsMax = 4

    /// A bucket that can lock nothing is refused before anything is put.
    func tryLock(_ deed: S3Deed) throws(ObjectStoreFailure) {
        guard lock != nil else { return }
        let request = S3Request(.get, path: place.path, query: [("object-lock", "")])
        let told = try ask(request, deed)
        switch told.verdict {
        case .done where S3Lock.isEnabled(by: told.answer.body): return
        case .refused, .noSuchBucket: throw failure(deed, told.verdict.causeOfNone)
        default:
            throw failure(
                deed,
                .service(
                    "the bucket can't lock objects, and the store file asks for it (lock): make a bucket "
                        + "with object lock enabled, which enables versions too, or leave lock out; nothing "
                        + "was stored"))
        }
    }

    /// A service may take the wish and do nothing about it: the first object that was put is looked at.
    func confirmLock(_ name: String, _ deed: S3Deed) throws(ObjectStoreFailure) {
        guard let lock, Self.isLocked(name), !isLockSeen.withLockedValue({ $0 }) else { return }
        let found = S3Lock.found(in: try head(name, nil, deed))
        guard let found, found.mode == lock.mode,
            found.until >= lock.least(at: world.unixSeconds())
        else {
            throw failure(
                deed,
                .service(
                    "the store took it and does not lock it as it was told to (lock): use another store, "
                        + "or leave lock out"))
        }
        isLockSeen.withLockedValue { $0 = true }
    }

    /// Sees to it that whatever is there stays locked for half of the days at least. Of an object that was put over others the
    /// newest and the first ones are looked at: which of them is right is not told here, and a thief can put more than can be asked
    /// for.
    package func extendLocks(
        tell: WorkTeller = { _ in }
    ) throws(ObjectStoreFailure) -> LockReport {
        let deed = S3Deed("extend the locks of", "objects")
        guard let lock else { return LockReport() }
        try tryLock(deed)
        var report = LockReport()
        let now = world.unixSeconds()
        tell(.began("listing", in: .objects))
        let there = try versions(of: nil, deed).filter { key, versions in
            Self.isLocked(key) && versions.first?.isMarker == false
        }
        tell(.began("looking", in: .objects, total: UInt64(there.count)))
        for (key, versions) in there.sorted(by: { $0.key < $1.key }) {
            let real = versions.filter { !$0.isMarker }
            for each in real.prefix(1) + real.dropFirst().suffix(Self.lockedVersionsMax) {
                try extend(key, each.version, lock, now, deed, &report)
            }
            tell(.advanced(1))
        }
        return report
    }

    private func extend(
        _ name: String, _ version: String, _ lock: S3Lock, _ now: UInt64, _ deed: S3Deed,
        _ report: inout LockReport
    ) throws(ObjectStoreFailure) {
        let deed = S3Deed("extend the lock of", name)
        let found: (mode: S3Lock.Mode, until: UInt64)?
        do throws(ObjectStoreFailure) {
            found = S3Lock.found(in: try head(name, version, deed))
        } catch {
            // Deleted since it was listed.
            if error.cause == .missing { return }
            throw error
        }
        report.looked += 1
        if let found, found.until >= lock.least(at: now) { return }
        let body = lock.retention(at: now)
        let digest = Digest(of: body.span)
        let request = S3Request(
            .put, path: place.path(name), query: [("retention", ""), ("versionId", version)],
            headers: [
                ("x-amz-sdk-checksum-algorithm", "SHA256"),
                ("x-amz-checksum-sha256", digest.base64),
            ], bodyDigest: digest)
        let told = try ask(request, body: body, deed)
        guard told.verdict == .done else { throw failure(deed, told.verdict.cause) }
        report.extended += 1
        if found == nil { report.unlocked += 1 }
    }

    /// The answer with an object's first byte, whose headers tell of the rest.
    private func head(
        _ name: String, _ version: String?, _ deed: S3Deed
    ) throws(ObjectStoreFailure) -> S3Answer {
        let request = S3Request(
            .get, path: place.path(name), query: version.map { [("versionId", $0)] } ?? [],
            headers: [("range", "bytes=0-0")])
        let told = try ask(request, deed, bodyIsObject: true)
        // None of ours is empty; another one's may be.
        guard told.verdict == .done || told.verdict == .beyondEnd else {
            throw failure(deed, told.verdict.cause)
        }
        return told.answer
    }
}
