internal import Mesh
internal import Node
internal import Raft
internal import SimulatedDisk
internal import VolumeCore

/// Disks that lose, misplace or forget what an image held (ADR 8).
extension Simulation {
    private static let blockByteCount = 4_096

    /// A block is hurt at one member only, whatever strikes: what no replica holds nobody can mend.
    private func mayHurt(_ block: Int, of volume: VolumeID, _ at: Int) -> Bool {
        (UInt64(block) &+ volume.rawValue) % UInt64(plan.shape.dataMembers) == UInt64(at)
    }

    /// Whoever has no vote may be a copy too few, whoever is lost takes its blocks along, and whoever is
    /// off or has a damaged log may come back as a copy only: some other whole replica has to hold what
    /// is hurt here.
    func holdsWhole(except places: Set<Int>) -> [Int] {
        let data = (recruiting.newest?.voters.data ?? []).map { place(of: $0) }
        return data.filter {
            !places.contains($0) && !machines[$0].isGone && !machines[$0].isSpare
                && !machines[$0].isPartial && !machines[$0].isHurt && machines[$0].isUp
        }
    }

    /// Whether the others do without a member's images, for a time or for good: what is damaged
    /// elsewhere must not be whole there alone.
    func mayLose(_ at: Int) -> Bool {
        let holders = holdsWhole(except: [at])
        return holders.count > 1 || holders.contains { isSound($0) }
    }

    /// Whether the images hold no damage, found or not, and none is about to be done.
    private func isSound(_ at: Int) -> Bool {
        guard !machines[at].hurt.isEmpty else { return true }
        let isThreatened = spells.contains {
            !$0.isOver && $0.machine == at
                && [.lostImageWrite, .misdirectedImageWrite].contains($0.fault)
        }
        guard !isThreatened, var core = machines[at].agent?.exports.core else { return false }
        return core.list.allSatisfy { volume in
            let read = try? core.readCommitted(volume.id, at: 0, count: Int(volume.byteCount))
            if case .success = read { return true }
            return false
        }
    }

    mutating func hurtImage(_ fault: Fault, _ at: Int, _ spell: Int) -> Interval {
        guard machines[at].power == .up, !machines[at].isSpare, !machines[at].isGone,
            !holdsWhole(except: [at]).isEmpty,
            let core = machines[at].agent?.exports.core, !core.list.isEmpty
        else { return .zero }
        let volume = core.list[Int(random.next() % UInt64(core.list.count))]
        let count = Int(volume.byteCount) / Self.blockByteCount
        let blocks = (0..<count).filter { mayHurt($0, of: volume.id, at) }
        guard !blocks.isEmpty else { return .zero }
        let block = blocks[Int(random.next() % UInt64(blocks.count))]
        let other = blocks[Int(random.next() % UInt64(blocks.count))]
        machines[at].hurt.insert(HurtBlock(volume: volume.id, block: block))
        switch fault {
        case .imageRot: rot(volume.id, block, at, spell)
        case .lostImageWrite:
            tell(at, "has a disk that loses the next write of block \(block) of \(volume.name)")
            misdo(.init(Self.range(block), to: nil), of: volume.id, at)
        default:
            guard other != block else { return .zero }
            machines[at].hurt.insert(HurtBlock(volume: volume.id, block: other))
            tell(
                at,
                "has a disk that writes block \(other) of \(volume.name) instead of \(block) next")
            misdo(
                .init(Self.range(block), to: other * Self.blockByteCount), of: volume.id, at)
        }
        spells[spell].machine = at
        return .seconds(5)
    }

    private static func range(_ block: Int) -> Range<Int> {
        block * blockByteCount..<(block + 1) * blockByteCount
    }

    private func image(_ volume: VolumeID) -> String { "volume-\(volume).image" }

    private mutating func rot(_ volume: VolumeID, _ block: Int, _ at: Int, _ spell: Int) {
        // Now and then it is the sum that turns.
        let isSum = random.chance(1, in: 4)
        let offset =
            isSum
            ? block * 4 + Int(random.next() % 4)
            : block * Self.blockByteCount + Int(random.next() % UInt64(Self.blockByteCount))
        let bit = Int(random.next() % 8)
        let name = isSum ? "volume-\(volume).sums" : image(volume)
        tell(at, "has a bit turned in \(name) at \(offset)")
        machines[at].agent?.exports.alterDisk { $0.flip(name, at: offset, bit: bit) }
        bite(spell)
    }

    private mutating func misdo(
        _ fate: SimulatedDisk.WriteFate, of volume: VolumeID, _ at: Int
    ) {
        let name = image(volume)
        machines[at].agent?.exports.alterDisk { $0.fates[name] = fate }
    }

    /// The images are read over now and then, on members that have nothing better to do.
    mutating func scrub() {
        for at in machines.indices where machines[at].power == .up && machines[at].agent != nil {
            scrub(at)
        }
    }

    mutating func scrub(_ at: Int) {
        let other = machines[at].agent?.node.otherReplica
        post(.scrub(wall(at), beside: other), toVolumesOf: at)
    }

    /// No fault of a disk that is not told as damage makes replicas differ.
    mutating func checkDifferences(_ at: Int) {
        guard let first = machines[at].agent?.exports.differences.first else { return }
        check(
            "node \(machines[at].id) and node \(first.node) hold other bytes of volume \(first.volume), "
                + "\(first.range), as of entry \(first.index)")
    }

    func wall(_ at: Int) -> WallTime { WallTime(time.nanoseconds) }

    /// What has not happened by now does not happen any more.
    mutating func calmImages(_ spell: Int, _ at: Int) {
        var isSpoiled = false
        func calm(_ disk: inout SimulatedDisk) {
            if disk.hasSpoiled { isSpoiled = true }
            (disk.fates, disk.hasSpoiled) = ([:], false)
        }
        machines[at].agent?.exports.alterDisk(calm)
        calm(&machines[at].volumesDisk)
        if isSpoiled { bite(spell) }
    }

    /// The storm is long over: what was found damaged is mended, unless the only other one is gone.
    mutating func judgeDamage() {
        guard plan.shape.dataMembers > 2 else { return }
        let members = holdsWhole(except: fallenForGood.map { [$0] } ?? [])
        guard members.count > 1 else { return }
        for at in members where machines[at].power == .up {
            let count = machines[at].agent?.exports.core.damagedBlockCount ?? 0
            guard count > 0 else { continue }
            check("liveness: node \(machines[at].id) has \(count) damaged blocks that others hold")
        }
    }

    /// What was trimmed takes no space, whoever it was that trimmed it: an image that was made durable
    /// holds nothing where its map has nothing, but for what a fault put there.
    mutating func checkSpace(_ at: Int) {
        guard let core = machines[at].agent?.exports.core, !core.isReplaying, !core.isResyncing
        else { return }
        for volume in core.list {
            let gaps = core.gaps(of: volume.id)
            guard !gaps.isEmpty, !machines[at].hurt.contains(where: { $0.volume == volume.id }),
                let bytes = core.disk.contents(of: image(volume.id))
            else { continue }
            for gap in gaps where Int(gap.lowerBound) < bytes.count {
                let held = bytes[Int(gap.lowerBound)..<min(Int(gap.upperBound), bytes.count)]
                if held.isZero { continue }
                check(
                    "what is trimmed takes no space: node \(machines[at].id) keeps bytes of "
                        + "\(volume.name) in \(gap), which its map gave back")
            }
        }
    }

    /// Nothing is damaged that no fault has hurt: what a crash leaves behind is never taken for it.
    mutating func noteDamage(_ blocks: Int, _ at: Int) {
        if plan.isDetailed { tell(at, "knows of \(blocks) damaged blocks") }
        guard let core = machines[at].agent?.exports.core else { return }
        report.imageMends += max(0, machines[at].damagedBefore - blocks)
        machines[at].damagedBefore = blocks
        for volume in core.list {
            for range in core.damagedRanges(of: volume.id) {
                let first = Int(range.lowerBound) / Self.blockByteCount
                let end = (Int(range.upperBound) + Self.blockByteCount - 1) / Self.blockByteCount
                for block in first..<end
                where !machines[at].hurt.contains(HurtBlock(volume: volume.id, block: block)) {
                    check(
                        "only faults damage: node \(machines[at].id) takes block \(block) of "
                            + "\(volume.name) for damaged, which nothing has hurt")
                }
            }
        }
    }
}

/// A block that a fault has struck on a machine, or may have.
struct HurtBlock: Hashable {
    let volume: VolumeID
    let block: Int
}
