internal import Yams

/// In which regions backups may lie, where somebody said so.
package struct BackupRegions: Hashable, Sendable {
    package let names: [String]
    /// The file that says so.
    let file: String

    /// What is wrong with a place in that region; nil where nothing is.
    func fault(of region: String?) -> String? {
        let allowed = "\(names.joined(separator: ", ")) (backupRegions in \(file))"
        guard let region else {
            return "does not say in which region it is, and backups may lie in \(allowed) only"
        }
        return names.contains(region)
            ? nil : "is in \(region), and backups may lie in \(allowed) only"
    }
}

extension Section {
    /// `backupRegions` of the cluster's file and of store files.
    mutating func backupRegions() -> BackupRegions? {
        guard let placed = node("backupRegions") else { return nil }
        var names: [String] = []
        for item in list("backupRegions", required: false) {
            if let name = item.value.string.flatMap(S3Settings.region) {
                names.append(name)
            } else {
                report(item.key, line: item.line, "expected a region, such as eu-central-1")
            }
        }
        // An empty list would allow nothing, or everything: nobody knows which was meant.
        if names.isEmpty, faults.isEmpty {
            report(placed.key, line: placed.line, "names no region; leave it out to allow all")
        }
        return BackupRegions(names: names, file: file)
    }

    /// Where a place is not allowed to be, that is a fault of it.
    mutating func confirm(
        _ region: String?, of key: String, line: Int, in allowed: [BackupRegions]
    ) {
        for regions in allowed {
            if let words = regions.fault(of: region) { report(key, line: line, words) }
        }
    }
}
