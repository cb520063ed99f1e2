/// Where objects lie: named bytes that are written once and never changed.
///
/// All of these block until they are done: they are called on threads that may wait.
package protocol ObjectStore: Sendable {
    /// Returns once the object would survive a power cut. What lies there under that name already is left
    /// alone: `wasThere` where it is the same, a failure where it is not.
    func put(_ name: ObjectName, _ bytes: [UInt8]) throws(ObjectStoreFailure) -> PutOutcome

    /// All of an object, or a part of it; never less than was asked for.
    func get(_ name: ObjectName, _ range: Range<Int>?) throws(ObjectStoreFailure) -> [UInt8]

    /// All objects whose names begin with that part, in the order of their names.
    func list(_ part: ObjectName?) throws(ObjectStoreFailure) -> ObjectListing

    /// False where there was none.
    func delete(_ name: ObjectName) throws(ObjectStoreFailure) -> Bool

    /// Takes a damaged object out of the way: it is served to nobody from then on, and nothing of it is lost. What
    /// was meant to lie there can be put again.
    func quarantine(_ name: ObjectName) throws(ObjectStoreFailure)

    /// Puts whole bytes in the place of damaged ones, which are kept aside as a quarantine keeps them; wherever this ends, one of
    /// both is there. Returns once it would survive a power cut. For who repairs: nobody else writes anything over.
    func replace(_ name: ObjectName, with bytes: [UInt8]) throws(ObjectStoreFailure)

    /// Deletes what was put in quarantine of the objects whose names begin with that part; how many there were.
    func deleteQuarantined(_ part: ObjectName) throws(ObjectStoreFailure) -> Int

    /// Stores of which each has all that this one has: who finds that what it was given is damaged asks them one by one.
    var copies: [StoreCopy] { get }
}

extension ObjectStore {
    package var copies: [StoreCopy] { [StoreCopy("the store", self)] }
}

/// One of the stores that have a copy each.
package struct StoreCopy: Sendable {
    /// As failures name it.
    package let name: String
    package let store: any ObjectStore
    /// It holds what was there before, which can be read and nothing else.
    package let isPast: Bool

    package init(_ name: String, _ store: any ObjectStore, isPast: Bool = false) {
        (self.name, self.store, self.isPast) = (name, store, isPast)
    }
}

extension ObjectName {
    /// What begins the names under which objects of this part lie in quarantine.
    package var flattened: String { text.split(separator: "/").joined(separator: ".") + "." }
}

package enum PutOutcome: Hashable, Sendable {
    case stored
    case wasThere
}

package struct ObjectListing: Hashable, Sendable {
    package struct Object: Hashable, Sendable {
        package let name: ObjectName
        package let byteCount: Int

        package init(name: ObjectName, byteCount: Int) {
            (self.name, self.byteCount) = (name, byteCount)
        }
    }
    package var objects: [Object] = []
    /// What lies there and was not put there by us. Whoever deletes has to know of it.
    package var strangers: [String] = []

    package init() {}

    /// What is in either of two lists of the same part, each in its order. Of two lengths the longer one is told: it is a
    /// damaged copy that is cut off.
    package func union(_ other: ObjectListing) -> ObjectListing {
        var both = ObjectListing()
        both.strangers = Set(strangers).union(other.strangers).sorted()
        both.objects.reserveCapacity(max(objects.count, other.objects.count))
        var (left, right) = (objects[...], other.objects[...])
        while let a = left.first, let b = right.first {
            if a.name == b.name {
                both.objects.append(a.byteCount >= b.byteCount ? a : b)
                (left, right) = (left.dropFirst(), right.dropFirst())
            } else if a.name < b.name {
                both.objects.append(a)
                left = left.dropFirst()
            } else {
                both.objects.append(b)
                right = right.dropFirst()
            }
        }
        both.objects += left
        both.objects += right
        return both
    }
}

/// What a store did not do.
package struct ObjectStoreFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Cause: Hashable, Sendable {
        case missing
        /// Another object has that name: nothing is ever written over.
        case taken
        case full
        case denied
        case readOnly
        /// The directory itself was removed while the store was open, or there is no such bucket.
        case storeGone
        /// What is there is shorter than what was asked for.
        case short(wanted: Int, have: Int)
        case oversized(Int)
        /// It is no file, or lies behind a link: somebody put it there.
        case notAnObject
        case system(code: Int32, words: String)
        /// What a service said, or that it said nothing, and what to do.
        case service(String)
    }

    package let deed: String
    /// An object's name, or the store itself.
    package let what: String
    package let store: String
    package let cause: Cause

    package init(_ deed: String, _ what: String, in store: String, _ cause: Cause) {
        (self.deed, self.what, self.store, self.cause) = (deed, what, store, cause)
    }

    package var description: String { "cannot \(deed) \(what) in \(store): \(cause.words)" }
}

extension ObjectStoreFailure.Cause {
    /// Whether the next object would fare no better.
    package var isOfTheStore: Bool {
        switch self {
        // A disk that can't read one file reads others.
        case .system(let code, _): code != 5
        case .storeGone, .full, .denied, .readOnly, .service: true
        case .missing, .taken, .short, .oversized, .notAnObject: false
        }
    }

    package var words: String {
        switch self {
        case .missing: "it is not there"
        case .taken: "other bytes have that name, and nothing is ever written over"
        case .full: "there is no room left; free some, or let backups go (retention)"
        case .denied: "it is not allowed; check who owns it and who may write there"
        case .readOnly: "it may only be read; a filesystem becomes so after faults of its disk"
        case .storeGone: "the store itself is no more"
        case .short(let wanted, let have): "it has \(have) of \(wanted) bytes"
        case .oversized(let count): "it has \(count) bytes, more than any object"
        case .notAnObject: "what lies there is no file, or a link to one"
        case .system(_, let words), .service(let words): words
        }
    }
}
