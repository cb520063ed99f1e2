internal import Yams

/// Where a repository's objects lie. Node files and the command line name the same store files.
package enum StoreSettings: Hashable, Sendable {
    case directory(String)
    case s3(S3Settings)
    /// Each has all of it; the first one leads. None of them is several itself.
    case several([StoreSettings], minCopies: Int)

    /// How many stores one repository may be in.
    package static let storesMax = 8

    /// The fewest days for which any of them locks objects; nil where none does.
    package var lockDays: UInt64? {
        switch self {
        case .directory: nil
        case .s3(let s3): s3.lock?.days
        case .several(let stores, _): stores.compactMap(\.lockDays).min()
        }
    }

    /// A store file: `s3`, or `stores` and `minCopies`. Relative paths in it are relative to the file.
    /// Where the mesh says in which regions backups may lie, `regions` are these; the file may narrow them.
    package init(
        parsing text: String, file: String, isForAgent: Bool, regions: BackupRegions? = nil
    ) throws(Faults) {
        var document = try Section(document: text, file: file)
        let allowed = [regions, document.backupRegions()].compactMap(\.self)
        let one = document.node("s3")
        let several = document.node("stores")
        var settings: StoreSettings?
        switch (one, several) {
        case (let placed?, nil):
            let s3 = S3Settings(placed, in: &document, isForAgent: isForAgent)
            if let s3 {
                document.confirm(s3.region, of: placed.key, line: placed.line, in: allowed)
            }
            settings = s3.map { .s3($0) }
        case (nil, .some): settings = Self.several(&document, isForAgent: isForAgent, allowed)
        case (nil, nil):
            document.report(
                "s3", line: 1,
                "is missing; expected {bucket, region, credentials, …}, or stores: a list of such, and of "
                    + "directory: PATH")
        case (.some, let placed?):
            document.report(placed.key, line: placed.line, "is given besides s3; put that into it")
        }
        let faults = document.finish()
        guard faults.isEmpty, let settings else { throw Faults(all: faults) }
        self = settings
    }

    private static func several(
        _ document: inout Section, isForAgent: Bool, _ allowed: [BackupRegions]
    ) -> StoreSettings? {
        let items = document.list("stores", required: true)
        if !(2...storesMax).contains(items.count) {
            document.report("stores", line: nil, "expected 2 to \(storesMax) stores")
        }
        var stores: [StoreSettings] = []
        for item in items {
            guard let store = store(item, &document, isForAgent: isForAgent, allowed) else {
                continue
            }
            if stores.contains(store) {
                document.report(item.key, line: item.line, "is the same store as another one")
            }
            stores.append(store)
        }
        let range = 1...max(items.count, 1)
        let copies = document.required(
            "minCopies",
            expected:
                "in how many of the stores a backup has to be before it counts (1 to \(items.count))"
        ) { text in Int(text).flatMap { range.contains($0) ? $0 : nil } }
        guard let copies, stores.count == items.count else { return nil }
        return .several(stores, minCopies: copies.value)
    }

    private static func store(
        _ item: Section.Placed<Node>, _ document: inout Section, isForAgent: Bool,
        _ allowed: [BackupRegions]
    ) -> StoreSettings? {
        var section = Section(item.value, file: document.file, path: item.key)
        let directory = section.optional(
            "directory", expected: "a repository's directory",
            parse: Section.path(beside: document.file))
        let region = section.optional(
            "region", expected: "the region that the directory is in", parse: S3Settings.region)
        let s3 = section.node("s3")
        var settings: StoreSettings?
        switch (directory, s3) {
        case (let directory?, nil):
            section.confirm(region?.value, of: item.key, line: item.line, in: allowed)
            settings = .directory(directory.value)
        case (nil, let placed?):
            let s3 = S3Settings(placed, in: &section, isForAgent: isForAgent)
            if let region {
                section.report(region.key, line: region.line, "is a directory's; s3 has its own")
            }
            if let s3 {
                section.confirm(s3.region, of: placed.key, line: placed.line, in: allowed)
            }
            settings = s3.map { .s3($0) }
        case (.some, .some):
            section.report(item.key, line: item.line, "is a directory and a bucket; which of them?")
        case (nil, nil):
            if section.faults.isEmpty {
                section.report(item.key, line: item.line, "expected directory: PATH, or s3: {…}")
            }
        }
        let faults = section.finish()
        document.adopt(faults)
        return faults.isEmpty ? settings : nil
    }
}
