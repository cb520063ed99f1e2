internal import Disk
internal import Mesh
internal import Record

extension Exports {
    mutating func apply(
        _ entries: [Ruled], at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        guard !core.isAsking else { return pull.held += entries }
        if let last = entries.last { core.noteHanded(last.entry.index) }
        var touched: Set<VolumeID> = []
        for ruled in entries where ruled.entry.index > core.applied {
            switch try apply(ruled, &effects) {
            case .applied(let volume, let generation, let number):
                guard exports[volume]?.generation == generation else { continue }
                exports[volume]?.committed = number
                touched.insert(volume)
            case .refused(let reason): effects.append(.refused(ruled.entry.index, reason))
            case .nothing: break
            }
        }
        for volume in touched.sorted() { answerFlushes(of: volume, &effects) }
        flight.dropFirst { item in
            exports[item.volume].map { item.number <= $0.committed } ?? true
        }
        try serveWaiting(at: now, &effects)
        try answerHeld(&effects)
        try takeEarly(at: now, &effects)
        // Not `core.applied`: behind a restart it is ahead of what was handed in.
        if let last = entries.last { effects.append(.applied(last.entry.index)) }
    }

    private mutating func apply(
        _ ruled: Ruled, _ effects: inout [ExportEffect]
    ) throws(DiskError) -> Applied {
        let entry = ruled.entry
        switch ruled.ruling {
        case .accepted: return try core.apply(entry, epoch: entry.epoch)
        case .nothing:
            core.skip(entry.index)
            return .nothing
        case .deleted(let volume):
            end(volume, &effects)
            pull.forget(volume)
            let refused = core.delete(volume)
            invariant(refused == nil, "volume \(volume) is open behind its end")
            core.skip(entry.index)
            return .nothing
        case .grown(let volume, let byteCount):
            let refused = try core.grow(volume, to: byteCount)
            core.skip(entry.index)
            if let refused { return .refused(.ungrowable(refused)) }
            if core.isResyncing { pull.askAnew(volume, core.missing(of: volume)) }
            if isOpen(volume) { effects.append(.grown(volume, byteCount: byteCount)) }
            return .nothing
        case .created(let id, let name, let byteCount, let isSync):
            let refused = try core.create(id, name: name, byteCount: byteCount, isSync: isSync)
            core.skip(entry.index)
            if let refused { return .refused(.uncreatable(refused)) }
            if case .acting(let generation, _) = tenure, !isOpen(id) {
                let made = VolumeInfo(
                    id: id, name: name, byteCount: byteCount, isSync: isSync, generation: nil)
                open(made, generation, &effects)
            }
            return .nothing
        }
    }

    /// Proposes all that is pending once more, in the old order; what was committed all the same
    /// applies only once (protocol-rules 14 and 16).
    mutating func proposeAgain() {
        let items = flight.items.all
        flight.forget()
        for item in items {
            guard let write = core.pendingWrite(item.volume, item.number) else { continue }
            flight.append(item.volume, item.number)
            drafts.append(write.draft)
        }
    }

    mutating func markDurable(_ effects: inout [ExportEffect]) {
        var touched: Set<VolumeID> = []
        while let item = flight.nextDurable() {
            guard exports[item.volume] != nil else { continue }
            exports[item.volume]?.durable = item.number
            touched.insert(item.volume)
        }
        for volume in touched.sorted() { answerFlushes(of: volume, &effects) }
    }
}
