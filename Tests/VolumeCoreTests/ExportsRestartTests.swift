import Mesh
import Record
import Testing
import VolumeCore

@Suite struct `Exports after a restart` {
    private func blank(_ index: UInt64) -> Ruled {
        let position = Position(index: LogIndex(index), term: Term(1))
        let draft = Draft(.blank, epoch: .zero)
        return Ruled(draft.sealed(at: position, group: GroupID(1), time: .zero), .nothing)
    }

    /// The log begins anew at its base, which may lie far below the volumes' checkpoint.
    @Test func `no more is reported applied than was handed in, though the checkpoint is ahead`()
        throws
    {
        var core = try VolumeCore(disk: MemoryDisk())
        for index in 1...9 as ClosedRange<UInt64> { core.skip(LogIndex(index)) }
        try core.checkpoint()
        var exports = Exports(core)
        var effects: [ExportEffect] = []
        try exports.handle(.apply([blank(1), blank(2)]), at: .zero, &effects)
        #expect(effects == [.applied(LogIndex(2))])
        effects = []
        try exports.handle(.apply((3...10).map(blank)), at: .zero, &effects)
        #expect(effects == [.applied(LogIndex(10))])
    }
}
