internal import JournalCore
internal import Mesh
internal import Record
internal import SimulatedDisk

/// A log's disk that lies, and the atlas that keeps its lies such as can be mended (as TigerBeetle's
/// simulator has it): what the index tells, of one log at a time, and never an entry whose other
/// copies are all damaged as well.
extension Simulation {
    /// Strikes a machine at rest, for a running process would keep the right bytes in its cache.
    mutating func hurt(_ at: Int, _ fault: Fault, _ spell: Int) -> Interval {
        guard !machines[at].isHurt, !machines[at].isPaused, !machines[at].isSpare,
            !machines[at].isGone, machines[at].isWitness || mayLose(at), !isAwaitingLost
        else { return .zero }
        let wasUp = machines[at].isUp
        guard !wasUp || maySpare(at) else { return .zero }
        if wasUp {
            if random.chance(1, in: 2) { cutPower(at) } else { stop(at) }
        }
        if let what = damage(at, fault) {
            bite(spell)
            tell(at, "\(fault.rawValue): \(what)")
            machines[at].isHurt = true
        }
        return wasUp ? start(at, spell) : .zero
    }

    /// What nobody has is cut off once all said so: while one that is lost for good is still a member, and
    /// asked, that would take an operator's `log cut`.
    private var isAwaitingLost: Bool { machines.contains { $0.isGone && isInFile($0) } }

    /// What was damaged, if anything.
    private mutating func damage(_ at: Int, _ fault: Fault) -> String? {
        for _ in 0..<16 {
            var disk = machines[at].logDisk
            guard let what = draw(fault, &disk, at) else { continue }
            noteScars(disk, at)
            machines[at].logDisk = disk
            return what
        }
        return nil
    }

    private mutating func noteScars(_ struck: SimulatedDisk, _ at: Int) {
        var disk = machines[at].logDisk
        for name in (try? disk.list()) ?? [] {
            guard let told = toldOf(name, disk), let old = disk.contents(of: name),
                let new = struck.contents(of: name)
            else { continue }
            for batch in told.batches where !areSame(old[batch.range], new[batch.range]) {
                machines[at].scars[name, default: []] += batch.entries
            }
        }
    }

    private mutating func draw(_ fault: Fault, _ disk: inout SimulatedDisk, _ at: Int) -> String? {
        let before = disk
        switch fault {
        case .bitRot:
            guard let (name, offset) = drawPlace(disk), mayHurt(name, offset..<offset + 1, disk, at)
            else { return nil }
            disk.flip(name, at: offset, bit: pick(8))
            return "\(name) at \(offset)"
        case .lostWrite, .misdirectedWrite:
            let writes = disk.pastWrites
            guard !writes.isEmpty else { return nil }
            // The newest ones are what others may not have.
            let number = random.chance(1, in: 2) ? writes.count - 1 : pick(writes.count)
            let (name, range) = writes[number]
            guard mayHurt(name, range, disk, at) else { return nil }
            guard fault == .misdirectedWrite else {
                disk.loseWrite(number)
                return disk.contents(of: name) == before.contents(of: name)
                    ? nil : "\(name) at \(range)"
            }
            guard let (other, offset) = drawPlace(disk) else { return nil }
            let place = offset / 4_096 * 4_096
            let end = min(place + range.count, disk.contents(of: other)?.count ?? 0)
            guard place < end, name != other || !range.overlaps(place..<end),
                isOneDamage(name, other), mayHurt(other, place..<end, disk, at)
            else { return nil }
            disk.misdirectWrite(number, to: other, offset: place)
            return "\(name) at \(range) went to \(other) at \(place)"
        default: return nil
        }
    }

    /// What is told twice must not be lost twice.
    private func isOneDamage(_ name: String, _ other: String) -> Bool {
        let (kind, otherKind) = (name.prefix { $0 != "-" }, other.prefix { $0 != "-" })
        if name == other { return true }
        let isBase = { (kind: Substring) in kind == "base" || kind == "copy" }
        if isBase(kind), isBase(otherKind) { return false }
        return kind != "index" && otherKind != "index"
    }

    private mutating func drawPlace(_ disk: SimulatedDisk) -> (String, Int)? {
        var disk = disk
        guard
            let names = try? disk.list().filter({ !$0.hasSuffix(".new") && !$0.hasPrefix("spare") }
            ),
            !names.isEmpty
        else { return nil }
        let segments = names.filter { $0.hasPrefix("segment") }
        let name =
            random.chance(3, in: 4) && !segments.isEmpty
            ? segments[pick(segments.count)] : names[pick(names.count)]
        guard let count = disk.contents(of: name)?.count, count > 0 else { return nil }
        // The newest segment is mostly empty: where something stands, something can be lost. What closes
        // the log says most.
        guard let last = toldOf(name, disk)?.batches.last?.range else { return (name, pick(count)) }
        let from = random.chance(1, in: 3) ? last.lowerBound : 0
        return (name, from + pick(min(count, last.upperBound) - from))
    }

    private func toldOf(_ name: String, _ disk: SimulatedDisk) -> ToldSegment? {
        guard name.hasPrefix("segment-") else { return nil }
        return disk.contents(of: "index-" + name.dropFirst("segment-".count)).flatMap {
            ToldSegment($0)
        }
    }

    private func mayHurt(_ name: String, _ range: Range<Int>, _ disk: SimulatedDisk, _ at: Int)
        -> Bool
    {
        switch name.prefix(while: { $0 != "-" }) {
        case "index":
            let scars = machines[at].scars["segment-" + name.dropFirst("index-".count)] ?? []
            return !scars.contains { isLive($0, at) }
        case "base": return disk.contents(of: "copy-" + name.dropFirst("base-".count)) != nil
        case "copy": return disk.contents(of: "base-" + name.dropFirst("copy-".count)) != nil
        case "segment": break
        default: return false
        }
        guard let told = toldOf(name, disk) else { return false }
        let end = told.batches.last?.range.upperBound ?? 4_096
        guard range.upperBound <= end else { return false }
        let hit = told.batches.filter { $0.range.overlaps(range) }.flatMap(\.entries)
        return hit.allSatisfy { isToBeHad($0, at) }
    }

    /// Where another stands, or the base does, nobody misses this one.
    private func isLive(_ entry: EntryIdentity, _ at: Int) -> Bool {
        machines[at].remains?.term(at: entry.index) == entry.position.term
    }

    /// Whether another log has the entry whole, or nobody else ever had it and it is not committed.
    private func isToBeHad(_ entry: EntryIdentity, _ at: Int) -> Bool {
        let (index, term) = (entry.index, entry.position.term)
        guard isLive(entry, at) else { return true }
        // A witness has nothing to serve while it asks, and stays off.
        if machines[at].isWitness { return false }
        let others = machines.indices.filter { $0 != at && !machines[$0].isGone }
        let holders = others.filter { machines[$0].holds(index, term) }
        if holders.contains(where: { !machines[$0].isHurt }) { return true }
        return holders.isEmpty && watch.committedTerm(at: index) != term
    }
}
