internal import Disk
internal import Gossip
internal import JournalCore
internal import Mesh
internal import Node
internal import Raft
internal import Record
internal import SimulatedDisk
internal import VolumeCore
internal import Voting

/// The threads of the log and of the volumes, in virtual time.
extension Simulation {
    mutating func save(_ write: Write, _ at: Int) {
        var save = LogDesk.Save(write)
        checkChange(save.change, at)
        if plan.mutant != nil { hurry(&save, at) }
        noteReplaced(by: save.change, at)
        if let base = save.change.base { noteBase(base.position.index, at) }
        machines[at].log.submit(save)
        beginLogJob(at)
        if plan.mutant == .acknowledgesBeforeSync {
            let number = write.number
            turnRaft(at, .saved(through: number), .raft(.saved(through: number)))
        }
    }

    /// Entries, and a base, may take the place of what no leader committed.
    private func noteReplaced(by change: LogChange, _ at: Int) {
        if let first = change.entries.first {
            machines[at].promised = min(machines[at].promised, first.index.previous)
        }
        if change.base != nil, let last = machines[at].raft({ $0.lastPosition.index }) {
            machines[at].promised = min(machines[at].promised, last)
        }
    }

    /// A base of the process's own stands on what its volumes have made durable.
    private func noteBase(_ index: LogIndex, _ at: Int) {
        if machines[at].raft({ $0.isWhole }) == true { machines[at].compacted = index }
    }

    /// What the mutants do to a write before the log's thread has it.
    private mutating func hurry(_ save: inout LogDesk.Save, _ at: Int) {
        guard plan.mutant == .acknowledgesBeforeSync || plan.mutant == .lettersOvertakeSync
        else { return }
        for letter in save.releases { send(letter, at) }
        save.releases = []
    }

    mutating func beginLogJob(_ at: Int) {
        guard let job = machines[at].log.begin() else { return }
        let took: Interval
        switch job {
        case .save: took = random.interval(in: machines[at].pace.save)
        case .fetch: took = random.interval(in: .microseconds(50)...(.microseconds(400)))
        }
        agenda.push(
            max(time, machines[at].logStalledUntil) + took, .logDone(at, life: machines[at].life))
    }

    mutating func logDone(_ at: Int) {
        if time < machines[at].logStalledUntil {
            // The stall began while the job was under way.
            agenda.push(machines[at].logStalledUntil, .logDone(at, life: machines[at].life))
            return
        }
        guard let job = machines[at].log.finish() else { return }
        switch job {
        case .save(let writes): saved(writes, at)
        case .fetch(let fetch): fetched(fetch, at)
        }
        if machines[at].isUp { beginLogJob(at) }
    }

    private mutating func saved(_ writes: [LogDesk.Save], _ at: Int) {
        do throws(JournalError) {
            try machines[at].journal?.append(writes.map(\.change))
        } catch { return failed("its log: \(error)", at) }
        // What a write's letters promise, a later one may have replaced by the time they leave.
        for place in writes.indices {
            noteReplaced(by: writes[place].change, at)
            for letter in writes[place].releases { send(letter, at) }
        }
        for write in machines[at].log.waiting { noteReplaced(by: write.change, at) }
        guard let number = writes.last?.number, plan.mutant != .acknowledgesBeforeSync
        else { return }
        if plan.isDetailed { tell(at, "write \(number) is saved") }
        turnRaft(at, .saved(through: number), .raft(.saved(through: number)))
        do throws(JournalError) {
            try machines[at].journal?.prepareNext()
        } catch { failed("its log: \(error)", at) }
    }

    private mutating func fetched(_ fetch: Fetch, _ at: Int) {
        guard let journal = machines[at].journal else { return }
        var entries: [Entry] = []
        let end = min(fetch.last, journal.last.index)
        if journal.firstIndex <= fetch.first, fetch.first <= end {
            do throws(JournalError) {
                entries =
                    try machines[at].journal?.entries(
                        from: fetch.first, through: end, bytesMax: fetch.bytesMax) ?? []
            } catch { return failed("its log: \(error)", at) }
        }
        turnRaft(at, .fetched(fetch, entries), .raft(.fetched(fetch, entries)))
    }

    mutating func persist(_ persist: Gossip.Persist, _ at: Int) {
        let took = random.interval(in: machines[at].pace.save)
        agenda.push(time + took, .persisted(at, life: machines[at].life, persist))
    }

    mutating func persisted(_ at: Int, _ persist: Gossip.Persist) {
        machines[at].incarnation = max(machines[at].incarnation, persist.incarnation)
        for letter in persist.releases { gossip(letter.message, at, letter.to) }
        turnRaft(
            at, .incarnationPersisted(persist.incarnation),
            .gossip(.persisted(persist.incarnation)))
    }

    mutating func post(_ event: ExportEvent, toVolumesOf at: Int) {
        let machine = machines[at]
        guard let agent = machine.agent else { return }
        agent.volumes.post(event)
        noteLease(at)
        scheduleVolumes(at)
    }

    private mutating func scheduleVolumes(_ at: Int) {
        let machine = machines[at]
        guard let agent = machine.agent, agent.volumes.schedules() else { return }
        var took = random.interval(in: machine.pace.apply)
        if agent.volumes.isCheckpointNext {
            took = took + random.interval(in: machine.pace.checkpoint)
        }
        agenda.push(
            max(time, machine.volumesStalledUntil) + took,
            .volumesTurn(at, life: machine.life))
    }

    mutating func turnVolumes(_ at: Int) {
        let machine = machines[at]
        let life = machine.life
        if time < machine.volumesStalledUntil {
            agenda.push(machine.volumesStalledUntil, .volumesTurn(at, life: life))
            return
        }
        guard let agent = machine.agent else { return }
        var events = agent.volumes.begin()
        scheduleVolumes(at)
        if agent.volumes.turns % 64 == 0 { events.append(.fold) }
        for event in events {
            if plan.mutant == nil || !isShortCut(event, at) { handle(event, at) }
            guard machine.life == life, machine.isUp else { return }
        }
        agent.volumes.end(events)
    }

    /// Whether a mutant answers in the exports' place.
    private mutating func isShortCut(_ event: ExportEvent, _ at: Int) -> Bool {
        switch (plan.mutant, event) {
        case (.flushesWithoutCommit, .request(let id, _, _, .flush)): reply(id, .done, at)
        case (.compactsEarly, .checkpoint):
            guard let applied = machines[at].agent?.exports.core.applied else { return false }
            turn(at, .checkpointed(applied))
        default: return false
        }
        return true
    }

    private mutating func handle(_ event: ExportEvent, _ at: Int) {
        let machine = machines[at]
        let now = machine.clock.local(time)
        machine.agent?.volumes.noteHandling(event)
        var effects: [ExportEffect] = []
        swap(&effects, &exportEffects)
        do {
            try machine.agent?.exports.handle(event, at: now, &effects)
        } catch { return volumesFailed(error, at) }
        checkAnswers(effects, now, at)
        checkDifferences(at)
        carryOut(&effects, at)
        exportEffects = effects
    }

    mutating func volumesFailed(_ error: DiskError, _ at: Int) {
        machines[at].agent?.volumes.fail()
        failed("its volumes: \(error)", at)
    }

    /// An answer leaves, unless the tenure in which it was computed has ended meanwhile.
    private mutating func answer(_ id: RequestID, _ answer: VolumeReply, _ at: Int) {
        let now = machines[at].clock.local(time)
        guard answer.needsLease, let agent = machines[at].agent else {
            return reply(id, answer, at)
        }
        guard agent.volumes.mayTell(at: now) else { return reply(id, .refused(.closed), at) }
        checkTelling(at)
        reply(id, answer, at)
    }

    mutating func carryOut(_ effects: inout [ExportEffect], _ at: Int) {
        let machine = machines[at]
        let life = machine.life
        effects.drain { if machine.life == life && machine.isUp { carryOut($0, at) } }
    }

    private mutating func carryOut(_ effect: consuming ExportEffect, _ at: Int) {
        switch effect {
        case .propose(let drafts, let round): turn(at, .write(drafts, round))
        case .reply(let id, let answer): self.answer(id, answer, at)
        case .applied(let index): turn(at, .applied(through: index))
        case .checkpointed(let index):
            checkSpace(at)
            turn(at, .checkpointed(index))
        case .opened(let volume, let name, let generation, let byteCount):
            tell(at, "opens \(name), generation \(generation.epoch).\(generation.opening)")
            machines[at].agent?.open.append(
                OpenExport(
                    volume: volume, name: name, generation: generation, byteCount: byteCount))
            opened(name)
            audit(at, volume, name, generation)
        case .grown(let volume, let byteCount):
            tell(at, "serves volume \(volume) with \(byteCount) bytes")
            report.growths += 1
            machines[at].agent?.grow(volume, to: byteCount)
        case .ended(let volume, _):
            tell(at, "ends the export of volume \(volume)")
            machines[at].agent?.open.removeAll { $0.volume == volume }
            drop(volume, at)
        case .drained: turn(at, .drained)
        case .send(let message, let to): post(at, to, .resync, message.encoded)
        case .resync(let standing, let index): turn(at, .resync(standing, behind: index))
        case .scrubs: scrub(at)
        case .damage(let blocks):
            noteDamage(blocks, at)
            turn(at, .damage(blocks: blocks))
        case .distrust(let blocks): turn(at, .distrust(blocks: blocks))
        case .wantsCheckpoint: post(.checkpoint, toVolumesOf: at)
        case .cutBegun(let ticket, let result): cutBegun(ticket, result, at)
        // Nobody here asks for one.
        case .snapshotTaken: break
        case .refused(let index, let reason):
            if plan.isDetailed { tell(at, "entry \(index) changes nothing: \(reason)") }
        }
    }
}
