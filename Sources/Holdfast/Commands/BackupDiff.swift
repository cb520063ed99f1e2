internal import Admin
internal import ArgumentParser
internal import Backup
internal import Mesh
internal import Repository

extension BackupCommand {
    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says in which bytes the volumes of two backups differ; no agent has to run.",
            discussion: "Reads the maps alone, and of those only where they differ.")

        struct Difference: Encodable {
            let older: UInt64
            let newer: UInt64
            let volumes: [Volume]
        }
        struct Volume: Encodable {
            enum Kind: String, Encodable {
                case same, changed, new, gone
            }
            struct Range: Encodable {
                let offset: UInt64
                let byteCount: UInt64
            }
            let id: UInt64
            let name: String
            let kind: Kind
            /// In whole cells.
            let ranges: [Range]

            var byteCount: UInt64 { ranges.reduce(0) { $0 + $1.byteCount } }
        }

        @OptionGroup var place: RepositoryOptions
        @OptionGroup var options: OutputOptions
        @Argument(help: "The number of the earlier backup.") var older: UInt64
        @Argument(help: "The number of the later one.") var newer: UInt64

        func run() throws {
            let vault = try place.vault()
            let old = try RepositoryOptions.manifest(older, in: vault)
            let new = try RepositoryOptions.manifest(newer, in: vault)
            let reader = try backed { () throws(BackupFailure) in
                try BackupReader(vault, threads: RepositoryOptions.threads)
            }
            var volumes = try new.volumes.map { volume in
                try Self.compare(
                    volume, with: old.volumes.first { $0.id == volume.id }, reader)
            }
            volumes += old.volumes.filter { gone in !new.volumes.contains { $0.id == gone.id } }
                .map { Volume(id: $0.id.rawValue, name: $0.name, kind: .gone, ranges: []) }
            try options.show(
                Difference(older: older, newer: newer, volumes: volumes), Self.lines(volumes))
        }

        private static func compare(
            _ volume: Manifest.Volume, with older: Manifest.Volume?, _ reader: BackupReader
        ) throws(Failure) -> Volume {
            guard let older else {
                return Volume(
                    id: volume.id.rawValue, name: volume.name, kind: .new, ranges: [])
            }
            let ranges = try backed { () throws(BackupFailure) in
                try reader.changes(volume.map, since: older.map)
            }
            return Volume(
                id: volume.id.rawValue, name: volume.name,
                kind: volume.map == older.map ? .same : .changed,
                ranges: ranges.map {
                    Volume.Range(offset: $0.lowerBound, byteCount: $0.upperBound - $0.lowerBound)
                })
        }

        private static func lines(_ volumes: [Volume]) -> [Line] {
            guard !volumes.isEmpty else { return [Line("there are no volumes in either")] }
            var table = Table([
                ("VOLUME", .left), ("", .left), ("CHANGED", .right), ("RANGES", .right),
            ])
            for volume in volumes {
                let isKnown = volume.kind == .same || volume.kind == .changed
                table.add([
                    volume.name, volume.kind.rawValue,
                    isKnown ? Words.bytes(volume.byteCount) : "",
                    isKnown ? "\(volume.ranges.count)" : "",
                ])
            }
            return table.lines()
        }
    }
}
