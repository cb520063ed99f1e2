package import Journal
package import JournalCore
package import Mesh
package import Raft
package import Record
internal import NIOConcurrencyHelpers

/// Carries out what Raft wants of the log's disk: saves, and the letters that may leave only then.
package final class LogKeeper: Sendable {
    private struct Release: Sendable {
        let number: UInt64
        let letters: [Letter]
    }

    /// What a driver has to be told; called on the journal's queue.
    package enum Event: Sendable {
        case saved(through: UInt64)
        case failed(JournalError)
    }

    private let releases = NIOLockedValueBox<[Release]>([])
    private let send: @Sendable (Letter) -> Void
    private let tell: @Sendable (Event) -> Void
    private let thread: NIOLockedValueBox<JournalThread<FileDisk>?>

    package init(
        _ core: JournalCore<FileDisk>, send: @escaping @Sendable (Letter) -> Void,
        tell: @escaping @Sendable (Event) -> Void
    ) {
        self.send = send
        self.tell = tell
        thread = NIOLockedValueBox(nil)
        let journal = JournalThread(core) { [weak self] event in self?.heard(event) }
        thread.withLockedValue { $0 = journal }
    }

    /// False when the disk has stalled so long that the journal's queue is full; a journal that has
    /// stopped says so itself.
    package func save(_ write: Write) -> Bool {
        if !write.releases.isEmpty {
            let release = Release(number: write.number, letters: write.releases)
            releases.withLockedValue { $0.append(release) }
        }
        return journal?.submit(write.number, write.change) != .full
    }

    package func fetch(_ fetch: Fetch, reply: @escaping @Sendable (Fetch, [Entry]) -> Void) {
        read(from: fetch.first, through: fetch.last, bytesMax: fetch.bytesMax) { result in
            switch result {
            case .success(let entries): reply(fetch, entries)
            case .failure(let error): self.tell(.failed(error))
            }
        }
    }

    package func read(
        from first: LogIndex, through last: LogIndex, bytesMax: Int,
        reply: @escaping @Sendable (Result<[Entry], JournalError>) -> Void
    ) {
        journal?.read(from: first, through: last, bytesMax: bytesMax, reply: reply)
    }

    package func lookUp(
        _ entry: EntryIdentity, reply: @escaping @Sendable (Result<LookUp, JournalError>) -> Void
    ) {
        journal?.lookUp(entry, reply: reply)
    }

    package var held: JournalThread<FileDisk>.Extent? { journal?.held }

    private var journal: JournalThread<FileDisk>? { thread.withLockedValue { $0 } }

    private func heard(_ event: JournalEvent) {
        switch event {
        case .saved(let number):
            let due = releases.withLockedValue { releases -> [Release] in
                let count = releases.prefix { $0.number <= number }.count
                defer { releases.removeFirst(count) }
                return Array(releases[..<count])
            }
            for release in due { for letter in release.letters { send(letter) } }
            tell(.saved(through: number))
        case .failed(let error): tell(.failed(error))
        }
    }
}
