/// What was used last, in two halves: whatever was not used while the younger one filled up is let go of with the older one.
struct Kept<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let halfCount: Int
    private var young: [Key: Value] = [:]
    private var old: [Key: Value] = [:]

    /// At most so many.
    init(_ count: Int) { halfCount = max(count / 2, 1) }

    mutating func value(of key: Key) -> Value? {
        if let value = young[key] { return value }
        guard let value = old[key] else { return nil }
        keep(value, as: key)
        return value
    }

    mutating func keep(_ value: Value, as key: Key) {
        young[key] = value
        if young.count >= halfCount { (old, young) = (young, [:]) }
    }
}
