import Disk
import Mesh
import Record
import SimulatedDisk
import Testing

@testable import VolumeCore

@Suite("Volumes that come from a repository") struct InstallTests {
    private static let id = VolumeID(7)
    private static let index = LogIndex(41)
    /// Neither a whole number of cells nor of sectors more than blocks.
    private static let byteCount: UInt64 = (300 << 10) + 512

    /// What was installed, and a core that was told of it.
    private struct Installed {
        var core: VolumeCore<SimulatedDisk>
        var model = [UInt8](repeating: 0, count: Int(InstallTests.byteCount))

        init() throws {
            let limits = VolumeLimits(pendingByteCountMax: 1 << 20, overlayByteCountMax: 8 << 10)
            core = try VolumeCore(disk: SimulatedDisk(), limits: limits)
            #expect(
                try core.create(InstallTests.id, name: "a", byteCount: InstallTests.byteCount)
                    == nil)
        }

        mutating func install(_ byte: UInt8?, _ range: Range<UInt64>) throws {
            let bytes = byte.map { [UInt8](repeating: $0, count: range.count) }
            try core.install(bytes, range, of: InstallTests.id)
            model.replaceSubrange(
                Int(range.lowerBound)..<Int(range.upperBound),
                with: bytes ?? [UInt8](repeating: 0, count: range.count))
        }

        /// Whole cells, as a backup has them, then places of any kind, as a log has them.
        mutating func installAll(_ random: inout SeededRandom) throws {
            for cell in 0..<18 as Range<UInt64> where cell % 3 > 0 {
                let start = cell * 16 << 10
                try install(UInt8(cell + 1), start..<start + 16 << 10)
            }
            try install(200, Self.last)
            for _ in 0..<60 {
                let start = UInt64.random(in: 0..<600, using: &random) * 512
                let sectors = UInt64.random(in: 1...20, using: &random)
                let end = min(start + sectors * 512, InstallTests.byteCount)
                let byte = UInt8.random(in: 0...255, using: &random)
                try install(random.chance(1, in: 4) ? nil : byte, start..<end)
            }
        }

        private static let last = (288 << 10)..<InstallTests.byteCount
    }

    private static func bytes(_ core: inout VolumeCore<SimulatedDisk>) throws -> [UInt8] {
        try core.readCommitted(id, at: 0, count: Int(byteCount)).get()
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `what was installed is there after any power cut, and the log goes on behind it`(
        seed: UInt64
    ) throws {
        var random = SeededRandom(seed: seed)
        var installed = try Installed()
        try installed.installAll(&random)
        try installed.core.finishInstalling(at: Self.index)
        var disk = installed.core.disk
        disk.crash(keeping: .few, using: &random)
        var core = try VolumeCore(disk: disk, logEnd: Self.index)
        #expect(core.applied == Self.index && core.checkpointed == Self.index)
        #expect(core.logEndMin == Self.index && !core.isResyncing)
        #expect(try Self.bytes(&core) == installed.model)
        #expect(core.list.allSatisfy { $0.damagedBlocks == 0 })
        core.skip(Self.index.next)
        #expect(core.applied == Self.index.next)
    }

    @Test func `nobody is told that nothing changed before it`() throws {
        var installed = try Installed()
        try installed.install(5, 0..<64 << 10)
        try installed.core.finishInstalling(at: Self.index)
        let manifest = try #require(installed.core.manifest(since: LogIndex(3)))
        let told = try #require(VolumeState(parsing: manifest))
        #expect(told.volumes[0].missing.holds(0), "who is behind lacks all that is allocated")
        let here = try #require(installed.core.manifest(since: Self.index))
        #expect(try #require(VolumeState(parsing: here)).volumes[0].missing.isEmpty)
    }

    @Test func `until it is finished nothing of it is a volume`() throws {
        var random = SeededRandom(seed: 9)
        var installed = try Installed()
        try installed.installAll(&random)
        var disk = installed.core.disk
        disk.crash(keeping: .everything, using: &random)
        let core = try VolumeCore(disk: disk)
        #expect(core.list.isEmpty && core.applied == .zero)
    }
}
