internal import Mesh
internal import Node
internal import VolumeCore

/// What a backup of one machine has to find: all volumes as they were when its cut began.
struct CutWatch {
    let machine: Int
    let life: UInt64
    let index: LogIndex
    let wanted: [VolumeID: [UInt8]]
    /// What it has still to read.
    var left: [(volume: VolumeID, range: Range<Int>)]
}

/// One that no volumes have begun yet.
struct CutOrdered {
    let machine: Int
    let life: UInt64
    let order: CutOrder
}

/// Backups' readers: now and then one holds on to a machine's volumes, and reads them bit by bit while the log goes on.
extension Simulation {
    private static let pieceByteCount = 16 << 10

    mutating func tendCut() {
        guard var watch = cutWatch else { return orderCut() }
        cutWatch = nil
        guard machines[watch.machine].life == watch.life, machines[watch.machine].isUp else {
            return
        }
        guard machines[watch.machine].power == .up else { return cutWatch = watch }
        for _ in 0..<1 + watch.left.count / 4 {
            guard let (volume, range) = watch.left.popLast() else { break }
            guard readCut(watch, volume, range) else { return endCut(watch) }
        }
        if watch.left.isEmpty { endCut(watch) } else { cutWatch = watch }
    }

    private mutating func orderCut() {
        if let ordered = cutOrdered {
            // Lost with the machine that was to begin it.
            if machines[ordered.machine].life != ordered.life { cutOrdered = nil }
            return
        }
        let up = machines.indices.filter { machines[$0].power == .up && machines[$0].agent != nil }
        guard looks % 4 == 1, !up.isEmpty else { return }
        turn(up[looks / 4 % up.count], .cut(CutTicket(UInt64(looks)), since: nil))
    }

    /// A node's order is on its way to the volumes, behind all that they were handed.
    mutating func ordered(_ order: CutOrder, _ at: Int) {
        cutOrdered = CutOrdered(machine: at, life: machines[at].life, order: order)
        post(.beginCut(order.ticket, since: order.since), toVolumesOf: at)
    }

    mutating func cutBegun(_ ticket: CutTicket, _ result: Result<BegunCut, CutRefused>, _ at: Int) {
        guard let ordered = cutOrdered, ordered.order.ticket == ticket else { return }
        cutOrdered = nil
        guard case .success(let begun) = result, let agent = machines[at].agent else { return }
        if let place = ordered.order.moment?.place, place.position.index != begun.index {
            check(
                "a cut is where it was ordered: node \(machines[at].id) has its decisions as of "
                    + "\(place.position.index) and its volumes as of \(begun.index)")
        }
        var images = ReplicaImages(at: at, agent.exports.core)
        var wanted: [VolumeID: [UInt8]] = [:]
        var left: [(volume: VolumeID, range: Range<Int>)] = []
        for volume in images.volumes {
            // Where it is damaged by now there is nothing to compare with.
            guard let bytes = images.bytes(of: volume) else { continue }
            wanted[volume.id] = bytes
            for start in stride(from: 0, to: bytes.count, by: Self.pieceByteCount) {
                let end = min(start + Self.pieceByteCount, bytes.count)
                left.append((volume.id, start..<end))
            }
        }
        cutWatch = CutWatch(
            machine: at, life: machines[at].life, index: begun.index, wanted: wanted, left: left)
    }

    private mutating func endCut(_ watch: CutWatch) {
        post(.endCut, toVolumesOf: watch.machine)
    }

    /// False where the cut is of no more use.
    private mutating func readCut(
        _ watch: CutWatch, _ volume: VolumeID, _ range: Range<Int>
    ) -> Bool {
        let read: Result<[UInt8], CutRefused>?
        do {
            read = try machines[watch.machine].agent?.exports.readCut(
                volume, at: UInt64(range.lowerBound), count: range.count)
        } catch {
            volumesFailed(error, watch.machine)
            return false
        }
        switch read {
        case .success(let bytes):
            let wanted = watch.wanted[volume]?[range]
            guard let wanted, areSame(wanted[...], bytes[...]) else {
                check(
                    "a cut gives what there was: node \(machines[watch.machine].id) gives other "
                        + "bytes of volume \(volume) in \(range) than it had at \(watch.index)")
                return false
            }
            report.cutPieces += 1
            return true
        // A fault may have struck it since; and it may have been deleted.
        case .failure(.damaged), .failure(.unknownVolume): return true
        case .failure(.overrun), .failure(.none), nil: return false
        case .failure(let refused):
            check("a cut gives what there was: node \(machines[watch.machine].id): \(refused)")
            return false
        }
    }
}
