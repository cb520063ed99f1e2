package import Mesh
package import Repository
internal import Sealing

/// Backups that are held: no rule lets them go.
package struct Holds: Sendable {
    private let vault: Vault
    package init(_ vault: Vault) { self.vault = vault }

    /// The numbers of what is held, whether the reason can be read or not.
    package func numbers() throws(BackupFailure) -> Set<UInt64> {
        try vault.inventory(of: vault.layout.holds).holds
    }

    package func hold(_ backup: UInt64) throws(BackupFailure) -> Hold {
        let hold: Hold = try vault.statement(vault.layout.hold(backup))
        guard hold.backup == backup else {
            throw .damaged(
                vault.layout.hold(backup), .contents("it is of backup \(hold.backup)"))
        }
        return hold
    }

    /// Holds a backup from now on. Refused where it is just being let go of: whoever deletes may not have seen the hold.
    package func put(
        _ backup: UInt64, reason: String, at time: WallTime
    ) throws(BackupFailure) -> Hold {
        let manifest = try Manifests(vault).manifest(backup)
        guard
            let hold = Hold(backup, manifest: manifest.digest, time: time, reason: reason)
        else {
            throw .refused("a reason has 1 to \(Hold.reasonByteCountMax) bytes")
        }
        let name = vault.layout.hold(backup)
        guard try vault.put(first: hold, as: name) else {
            let known = (try? self.hold(backup)).map { ": \($0.reason)" } ?? ""
            throw .refused("backup \(backup) is held already\(known)")
        }
        // Who put tombstones before this was seen looks for holds behind them, and who puts them later sees it: one of both
        // knows of the other. The manifest is looked at last, for a collection may have ended meanwhile.
        let isDoomed = try Collections(vault).tombstones().manifests.contains(backup)
        let isGone = try vault.find(vault.layout.manifest(backup)) == nil
        if isDoomed || isGone {
            _ = try release(backup)
            throw .refused(
                "backup \(backup) is being let go of: it can't be held any more; if `holdfast backup list` "
                    + "still has it once the collection is over, ask again")
        }
        return hold
    }

    /// False where it was not held.
    package func release(_ backup: UInt64) throws(BackupFailure) -> Bool {
        do throws(ObjectStoreFailure) {
            return try vault.store.delete(vault.layout.hold(backup))
        } catch { throw .store(error) }
    }
}
