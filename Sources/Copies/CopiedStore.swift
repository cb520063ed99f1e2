internal import Dispatch
internal import NIOConcurrencyHelpers
package import Repository

/// One repository in several stores, each of which has all of it. The first one leads: what is put only if nothing has
/// its name is decided there, so that two writers can't both be first.
///
/// docs/adr/0015-several-stores.md.
package final class CopiedStore: ObjectStore {
    /// A store that has a copy, or is to have one.
    package struct Copy: Sendable {
        package let name: String
        package let isPast: Bool
        package let open: @Sendable () throws(ObjectStoreFailure) -> any ObjectStore

        package init(
            _ name: String, isPast: Bool = false,
            open: @escaping @Sendable () throws(ObjectStoreFailure) -> any ObjectStore
        ) { (self.name, self.isPast, self.open) = (name, isPast, open) }
    }

    /// Which of the stores have to take part.
    package enum Demand: Hashable, Sendable {
        /// Whichever answers: for who only reads.
        case one
        /// The leading one, and as many more as make so many: for who writes.
        case copies(Int)
        /// Every one: for who deletes, and for who makes a repository.
        case all
    }

    /// What a store lacks that others have taken.
    package struct Shortfall: Hashable, Sendable {
        package let store: String
        package let failures: Int
        package let last: ObjectStoreFailure
    }

    let members: [Member]
    let demand: Demand
    private let missed = NIOLockedValueBox<[Int: (failures: Int, last: ObjectStoreFailure)]>([:])

    /// Opens none yet. `stores` are at least one, the leading one first. `isNew` where the repository is still to be made.
    /// `now` is by what clock those that are away are passed over.
    package init(
        _ stores: [Copy], _ demand: Demand, isNew: Bool = false,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        precondition(!stores.isEmpty, "a repository is somewhere")
        if case .copies(let count) = demand {
            precondition((1...stores.count).contains(count), "there are not as many stores")
        }
        let identity = isNew ? nil : Identity(isForReading: demand == .one)
        members = stores.map { Member($0, identity, now: now) }
        self.demand = demand
    }

    package var copies: [StoreCopy] { members.map { StoreCopy($0.name, $0, isPast: $0.isPast) } }

    /// In the order of the stores.
    package var shortfalls: [Shortfall] {
        missed.withLockedValue { missed in
            missed.sorted { $0.key < $1.key }.map { number, what in
                Shortfall(store: members[number].name, failures: what.failures, last: what.last)
            }
        }
    }

    /// How many stores what is put has to be in.
    private var needed: Int {
        switch demand {
        case .one, .all: members.count
        case .copies(let count): count
        }
    }

    package func put(
        _ name: ObjectName, _ bytes: [UInt8]
    ) throws(ObjectStoreFailure) -> PutOutcome {
        precondition(demand != .one, "who only reads puts nothing")
        let others = 1..<members.count
        let outcome: PutOutcome
        switch PutOrder(of: name) {
        case .together:
            let results = put(name, bytes, in: 0..<members.count)
            try demandCopies(of: name, Array(results.dropFirst()))
            outcome = try results[0].get()
        case .leaderLast:
            try demandCopies(of: name, put(name, bytes, in: others))
            outcome = try members[0].put(name, bytes)
        case .leaderFirst:
            outcome = try members[0].put(name, bytes)
            let results = put(name, bytes, in: others)
            try demandAgreement(on: name, results)
            try demandCopies(of: name, results)
        }
        return outcome
    }

    private func put(
        _ name: ObjectName, _ bytes: [UInt8], in numbers: Range<Int>
    ) -> [Result<PutOutcome, ObjectStoreFailure>] {
        each(of: numbers) { number throws(ObjectStoreFailure) in
            let member = self.members[number]
            // One that all have to reach is asked in any case; the leading one is one of these.
            if number > 0, self.needed < self.members.count, let absence = member.takeTurn() {
                throw absence
            }
            return try member.put(name, bytes)
        }
    }

    /// Where another store has other bytes under a name that was free in the leading one, that one was put back to an earlier
    /// state, or another store leads for somebody else.
    private func demandAgreement(
        on name: ObjectName, _ results: [Result<PutOutcome, ObjectStoreFailure>]
    ) throws(ObjectStoreFailure) {
        for (number, result) in results.enumerated() {
            guard case .failure(let failure) = result, failure.cause == .taken else { continue }
            throw ObjectStoreFailure(
                "store", name.text, in: members[number + 1].name,
                .service(
                    "other bytes have that name there than in \(members[0].name): that store was put back to an "
                        + "earlier state, or agents disagree on which store leads"))
        }
    }

    /// Of the stores behind the leading one.
    private func demandCopies(
        of name: ObjectName, _ results: [Result<PutOutcome, ObjectStoreFailure>]
    ) throws(ObjectStoreFailure) {
        var have = 1
        var failure: ObjectStoreFailure?
        for (number, result) in results.enumerated() {
            do throws(ObjectStoreFailure) {
                _ = try result.get()
                have += 1
            } catch {
                note(error, number + 1)
                failure = failure ?? error
            }
        }
        guard let failure, have < needed else { return }
        throw ObjectStoreFailure(
            "store", name.text, in: members.map(\.name).joined(separator: ", "),
            .service("\(needed) copies have to be made, and one was not: \(failure)"))
    }

    private func note(_ failure: ObjectStoreFailure, _ number: Int) {
        missed.withLockedValue { missed in
            missed[number] = (failures: (missed[number]?.failures ?? 0) + 1, last: failure)
        }
    }

    package func get(
        _ name: ObjectName, _ range: Range<Int>?
    ) throws(ObjectStoreFailure) -> [UInt8] {
        var failures: [Int: ObjectStoreFailure] = [:]
        var passedOver: [Int] = []
        for number in members.indices {
            if members[number].takeTurn() != nil {
                passedOver.append(number)
            } else if let bytes = read(name, range, number, &failures) {
                return bytes
            }
        }
        // Those that did not answer a moment ago are asked last.
        for number in passedOver {
            if let bytes = read(name, range, number, &failures) { return bytes }
        }
        throw weigh(members.indices.compactMap { failures[$0] })
    }

    /// nil, and why, where that one can't give it. What another one gives is what those before it lack.
    private func read(
        _ name: ObjectName, _ range: Range<Int>?, _ number: Int,
        _ failures: inout [Int: ObjectStoreFailure]
    ) -> [UInt8]? {
        do throws(ObjectStoreFailure) {
            let bytes = try members[number].get(name, range)
            for (number, failure) in failures { note(failure, number) }
            return bytes
        } catch {
            failures[number] = error
            return nil
        }
    }

    /// What is to be told where none of the stores has it: that it is missing only if those have said so that must.
    private func weigh(_ failures: [ObjectStoreFailure]) -> ObjectStoreFailure {
        switch demand {
        case .one: failures.first { $0.cause == .missing }?.besides(failures) ?? failures[0]
        case .copies: failures[0]
        case .all: failures.first { $0.cause != .missing } ?? failures[0]
        }
    }

    package func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing {
        let results = each(of: 0..<members.count) { number throws(ObjectStoreFailure) in
            let member = self.members[number]
            let canWait = number > 0 || self.demand == .one
            if self.demand != .all, canWait, let absence = member.takeTurn() { throw absence }
            return try member.list(part)
        }
        var listing: ObjectListing?
        var lists: [ObjectListing] = []
        var failure: ObjectStoreFailure?
        for (number, result) in results.enumerated() {
            do throws(ObjectStoreFailure) {
                let next = try result.get()
                lists.append(next)
                listing = listing?.union(next) ?? next
            } catch {
                if demand == .all || (number == 0 && demand != .one) { throw error }
                note(error, number)
                failure = failure ?? error
            }
        }
        if let listing { return counted(listing, lists) }
        throw failure ?? ObjectStoreFailure("list", "it", in: members[0].name, .storeGone)
    }

    /// Who writes counts only on packs and indexes of which there are as many copies as have to be: what has fewer is stored
    /// again.
    private func counted(_ listing: ObjectListing, _ lists: [ObjectListing]) -> ObjectListing {
        guard case .copies(let count) = demand, count > 1 else { return listing }
        var copies: [ObjectName: Int] = [:]
        for list in lists {
            for object in list.objects where Layout.kind(object.name) != .other {
                copies[object.name, default: 0] += 1
            }
        }
        var counted = listing
        counted.objects.removeAll { copies[$0.name].map { $0 < count } ?? false }
        return counted
    }

    /// The leading one is asked last: while it has the object, whoever comes again deletes the others.
    package func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool {
        precondition(demand == .all, "what is deleted in one store comes back from another")
        var was = false
        for member in members.reversed() where try member.delete(name) {
            was = true
        }
        return was
    }

    package func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int {
        precondition(demand == .all, "what is erased in one store lives on in another")
        var count = 0
        for member in members { count += try member.deleteQuarantined(part) }
        return count
    }

    package func replace(
        _ name: ObjectName, with bytes: [UInt8]
    ) throws(ObjectStoreFailure) {
        for member in members { try member.replace(name, with: bytes) }
    }

    package func quarantine(_ name: ObjectName) throws(ObjectStoreFailure) {
        var found = false
        var missing: ObjectStoreFailure?
        for member in members {
            do throws(ObjectStoreFailure) {
                try member.quarantine(name)
                found = true
            } catch {
                guard error.cause == .missing else { throw error }
                missing = error
            }
        }
        if !found, let missing { throw missing }
    }

    /// All at once: one is as slow as the slowest of them, and not as all together.
    private func each<Value: Sendable>(
        of numbers: Range<Int>,
        _ deed: @Sendable (Int) throws(ObjectStoreFailure) -> Value
    ) -> [Result<Value, ObjectStoreFailure>] {
        let results = NIOLockedValueBox<[Int: Result<Value, ObjectStoreFailure>]>([:])
        DispatchQueue.concurrentPerform(iterations: numbers.count) { turn in
            let number = numbers.lowerBound + turn
            let result: Result<Value, ObjectStoreFailure>
            do throws(ObjectStoreFailure) { result = .success(try deed(number)) } catch {
                result = .failure(error)
            }
            results.withLockedValue { $0[number] = result }
        }
        return results.withLockedValue { results in numbers.compactMap { results[$0] } }
    }
}

extension ObjectStoreFailure {
    /// Says with what is missing which stores could not be asked.
    fileprivate func besides(_ all: [ObjectStoreFailure]) -> ObjectStoreFailure {
        let mute = all.filter { $0.cause != .missing }.map { "\($0)" }
        guard !mute.isEmpty else { return self }
        return ObjectStoreFailure(
            deed, what, in: "\(store) (and \(mute.joined(separator: "; ")))", cause)
    }
}

/// In which order the stores are given an object.
private enum PutOrder {
    /// It is named by what is in it, and nobody looks for it before an index tells of it.
    case together
    /// It is named by what is in it, and counted on by whoever finds it in the leading store: by then it has its copies.
    case leaderLast
    /// It is there only if nothing had its name: the leading store decides.
    case leaderFirst

    init(of name: ObjectName) {
        switch Layout.kind(name) {
        case .pack: self = .together
        case .index: self = .leaderLast
        case .other: self = .leaderFirst
        }
    }
}
