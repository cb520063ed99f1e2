internal import Disk
internal import Mesh
internal import Planted
internal import Record

extension Exports {
    func isLeased(at now: Instant) -> Bool {
        leaseEnds.map { now < $0 || isPlanted(.servesWithoutLease) } ?? false
    }

    private func door(_ asked: WaitingRequest) -> VolumeRefused? {
        guard let export = exports[asked.volume] else {
            return core.position(of: asked.volume) == nil ? .unknownVolume : .closed
        }
        return export.generation == asked.generation ? nil : .closed
    }

    mutating func admit(
        _ asked: WaitingRequest, at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) {
        func refuse(_ refused: VolumeRefused) {
            effects.append(.reply(asked.id, .refused(refused)))
        }
        if let refused = door(asked) { return refuse(refused) }
        if case .draining = tenure { return refuse(.closed) }
        // Behind a change that waits for room the next one waits too, or a long one never gets in.
        let mayPass = waiting.isEmpty || !asked.request.isChange
        if mayPass, isLeased(at: now), try serve(asked, at: now, &effects) { return }
        guard waiting.count < VolumeLimits.requestsWaitingMax else { return refuse(.overloaded) }
        waiting.append(asked)
    }

    mutating func serveWaiting(at now: Instant, _ effects: inout [ExportEffect]) throws(DiskError) {
        guard isLeased(at: now) else { return }
        while let asked = waiting.first, try serve(asked, at: now, &effects) { waiting.popFirst() }
    }

    mutating func forget(_ connection: ConnectionID) {
        _ = waiting.extract { $0.id.connection == connection }
        afflicted.removeAll { $0.id.connection == connection }
        for volume in exports.keys.sorted() {
            _ = exports[volume]?.flushes.extract { $0.id.connection == connection }
        }
    }

    /// False when there is no room for the change yet.
    private mutating func serve(
        _ asked: WaitingRequest, at now: Instant, _ effects: inout [ExportEffect]
    ) throws(DiskError) -> Bool {
        let (id, volume, generation) = (asked.id, asked.volume, asked.generation)
        switch asked.request {
        case .read(let offset, let byteCount):
            let read = AfflictedRead(
                id: id, volume: volume, generation: generation, offset: offset,
                byteCount: byteCount, until: now + VolumeLimits.damagedReadWaitMax)
            try serve(read, &effects)
            return true
        case .extents(let offset, let byteCount, let countMax):
            let extents = core.extents(
                volume, at: offset, byteCount: byteCount, generation: generation,
                countMax: countMax)
            effects.append(.reply(id, extents.reply { .extents($0) }))
            return true
        case .flush:
            flush(id, volume, &effects)
            return true
        case .write(let offset, let data, let isDurable):
            let queued = core.queue(write: data, to: volume, at: offset, generation: generation)
            return take(queued, asked, isDurable: isDurable, &effects)
        case .zeroes(let offset, let byteCount, let keepsAllocated, let isDurable):
            let queued = core.queue(
                .zeroes, on: volume, at: offset, byteCount: byteCount,
                keepsAllocated: keepsAllocated, generation: generation)
            return take(queued, asked, isDurable: isDurable, &effects)
        case .trim(let offset, let byteCount, let isDurable):
            let queued = core.queue(
                .trim, on: volume, at: offset, byteCount: byteCount, generation: generation)
            return take(queued, asked, isDurable: isDurable, &effects)
        }
    }

    private mutating func take(
        _ queued: Queued, _ asked: WaitingRequest, isDurable: Bool, _ effects: inout [ExportEffect]
    ) -> Bool {
        switch queued {
        case .wait: return false
        case .refused(let refused): effects.append(.reply(asked.id, .refused(refused)))
        case .queued(let writes):
            for write in writes {
                flight.append(write.volume, write.number)
                drafts.append(write.draft)
            }
            if isDurable, !isPlanted(.treatsFUAAsPlain) {
                flush(asked.id, asked.volume, &effects)
            } else {
                effects.append(.reply(asked.id, .done))
            }
        }
        return true
    }

    private mutating func flush(
        _ id: RequestID, _ volume: VolumeID, _ effects: inout [ExportEffect]
    ) {
        let last = isPlanted(.flushesWithoutBarrier) ? 0 : core.lastQueued(volume)
        exports[volume]?.flushes.append((id, last))
        answerFlushes(of: volume, &effects)
    }

    mutating func answerFlushes(of volume: VolumeID, _ effects: inout [ExportEffect]) {
        guard let safe = exports[volume]?.safe else { return }
        while let first = exports[volume]?.flushes.first, first.number <= safe {
            exports[volume]?.flushes.popFirst()
            effects.append(.reply(first.id, .done))
        }
    }
}

extension VolumeRequest {
    fileprivate var isChange: Bool {
        switch self {
        case .write, .zeroes, .trim: true
        case .read, .flush, .extents: false
        }
    }
}

extension Result where Failure == VolumeRefused {
    fileprivate func reply(_ reply: (Success) -> VolumeReply) -> VolumeReply {
        switch self {
        case .success(let value): reply(value)
        case .failure(let refused): .refused(refused)
        }
    }
}
