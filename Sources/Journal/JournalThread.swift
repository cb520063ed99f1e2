package import Disk
import Dispatch
package import JournalCore
package import Mesh
package import Record
import NIOConcurrencyHelpers

/// What the journal tells its owner, always from its own queue and in order.
package enum JournalEvent: Sendable {
    /// All changes up to and including this number are safe.
    case saved(through: UInt64)
    /// The journal has stopped for good.
    case failed(JournalError)
}

/// Group commit: all changes that came in while the disk was busy go down in one batch.
package final class JournalThread<D: Disk>: Sendable {
    /// Changes that may wait; who finds the queue full has to hold back.
    package static var waitingChangesMax: Int { 4_096 }
    /// Bytes of entries and bases that may wait.
    package static var waitingBytesMax: Int { 128 << 20 }

    /// What the log holds on its disk.
    package struct Extent: Hashable, Sendable {
        package let base: Position
        package let last: Position
        package let byteCount: UInt64
        init(_ core: JournalCore<D>) {
            (base, last, byteCount) = (core.basePosition, core.last, core.byteCount)
        }
    }

    /// One batch takes no more than this, or one change: an owner that hears nothing of a disk for
    /// long takes it for stalled.
    static var batchBytesMax: Int { 4 << 20 }

    private struct Waiting: Sendable {
        var changes: [(number: UInt64, change: LogChange, byteCount: Int)] = []
        var through: UInt64 = 0
        var byteCount = 0
        var isScheduled = false
        var hasFailed = false
    }

    private let core: NIOLockedValueBox<JournalCore<D>>
    private let extent: NIOLockedValueBox<Extent>
    private let waiting = NIOLockedValueBox(Waiting())
    private let queue = DispatchQueue(label: "holdfast.journal")
    private let tell: @Sendable (JournalEvent) -> Void

    package init(_ core: JournalCore<D>, tell: @escaping @Sendable (JournalEvent) -> Void) {
        extent = NIOLockedValueBox(Extent(core))
        self.core = NIOLockedValueBox(core)
        self.tell = tell
    }

    package enum Submission: Hashable, Sendable {
        case taken
        /// The disk has not kept up: nothing was taken.
        case full
        /// `.failed` was told or is about to be: nothing is taken any more.
        case stopped
    }

    /// Queues `change`, whose number is above all before.
    package func submit(_ number: UInt64, _ change: LogChange) -> Submission {
        let byteCount =
            change.entries.reduce(change.base?.contents.count ?? 0) { $0 + $1.bytes.count }
        let (submission, wakes) = waiting.withLockedValue { waiting -> (Submission, Bool) in
            guard !waiting.hasFailed else { return (.stopped, false) }
            guard waiting.changes.count < Self.waitingChangesMax,
                waiting.changes.isEmpty || waiting.byteCount + byteCount <= Self.waitingBytesMax
            else { return (.full, false) }
            invariant(number > waiting.through, "change \(number) after \(waiting.through)")
            waiting.changes.append((number, change, byteCount))
            waiting.through = number
            waiting.byteCount += byteCount
            defer { waiting.isScheduled = true }
            return (.taken, !waiting.isScheduled)
        }
        if wakes { queue.async { self.save() } }
        return submission
    }

    /// As the last batch left it.
    package var held: Extent { extent.withLockedValue { $0 } }

    /// Reads entries after all batches that began before; `reply` runs on the journal's queue. What
    /// the log no longer holds, or does not hold any more, gives none.
    package func read(
        from first: LogIndex, through: LogIndex, bytesMax: Int,
        reply: @escaping @Sendable (Result<[Entry], JournalError>) -> Void
    ) {
        queue.async {
            let result = self.core.withLockedValue { core -> Result<[Entry], JournalError> in
                let end = min(through, core.last.index)
                guard core.firstIndex <= first, first <= end else { return .success([]) }
                do throws(JournalError) {
                    return .success(
                        try core.entries(from: first, through: end, bytesMax: bytesMax))
                } catch {
                    return .failure(error)
                }
            }
            reply(result)
        }
    }

    /// What the log says of one entry, after all batches that began before; `reply` runs on the
    /// journal's queue.
    package func lookUp(
        _ entry: EntryIdentity, reply: @escaping @Sendable (Result<LookUp, JournalError>) -> Void
    ) {
        queue.async {
            let result = self.core.withLockedValue { core -> Result<LookUp, JournalError> in
                do throws(JournalError) { return .success(try core.lookUp(entry)) } catch {
                    return .failure(error)
                }
            }
            reply(result)
        }
    }

    /// What goes down together, and whether more waits.
    private func takeBatch() -> (changes: [LogChange], through: UInt64, isMore: Bool)? {
        waiting.withLockedValue { waiting in
            guard !waiting.hasFailed else { return nil }
            var (count, byteCount) = (0, 0)
            while count < waiting.changes.count,
                count == 0 || byteCount + waiting.changes[count].byteCount <= Self.batchBytesMax
            {
                byteCount += waiting.changes[count].byteCount
                count += 1
            }
            let taken = waiting.changes[..<count]
            defer {
                waiting.changes.removeFirst(count)
                waiting.byteCount -= byteCount
                waiting.isScheduled = !waiting.changes.isEmpty
            }
            return (
                taken.map(\.change), taken.last?.number ?? 0, count < waiting.changes.count
            )
        }
    }

    private func save() {
        guard let batch = takeBatch(), !batch.changes.isEmpty else { return }
        let failure = core.withLockedValue { core -> JournalError? in
            do throws(JournalError) {
                try core.append(batch.changes)
                extent.withLockedValue { $0 = Extent(core) }
                return nil
            } catch {
                return error
            }
        }
        defer { if batch.isMore { queue.async { self.save() } } }
        guard failure == nil else { return fail(failure) }
        tell(.saved(through: batch.through))
        // Behind the acknowledgement: it delays nobody but a batch that comes right now.
        fail(
            core.withLockedValue { core -> JournalError? in
                do throws(JournalError) {
                    try core.prepareNext()
                    return nil
                } catch {
                    return error
                }
            })
    }

    private func fail(_ failure: JournalError?) {
        guard let failure else { return }
        waiting.withLockedValue { $0.hasFailed = true }
        tell(.failed(failure))
    }
}
