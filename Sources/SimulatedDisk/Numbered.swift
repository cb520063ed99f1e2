/// Values under numbers that only grow. There are few at a time and every operation asks for one, so
/// that halving costs less than a hash.
struct Numbered<Value: Sendable>: Sendable {
    /// Rising.
    private(set) var numbers: [Int] = []
    private var values: [Value] = []

    /// The first place whose number is not lower.
    private func place(from number: Int) -> Int {
        var (low, high) = (0, numbers.count)
        while low < high {
            let middle = (low + high) / 2
            if numbers[middle] < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    subscript(number: Int) -> Value? {
        get {
            let at = place(from: number)
            return at < numbers.count && numbers[at] == number ? values[at] : nil
        }
        set {
            let at = place(from: number)
            let isThere = at < numbers.count && numbers[at] == number
            switch (newValue, isThere) {
            case (let value?, true): values[at] = value
            case (let value?, false):
                numbers.insert(number, at: at)
                values.insert(value, at: at)
            case (nil, true):
                numbers.remove(at: at)
                values.remove(at: at)
            case (nil, false): break
            }
        }
    }

    /// In place, since a value may be megabytes; nothing where there is none.
    mutating func change(_ number: Int, _ body: (inout Value) -> Void) {
        let at = place(from: number)
        guard at < numbers.count, numbers[at] == number else { return }
        body(&values[at])
    }

    mutating func keep(only live: Set<Int>) {
        for number in numbers where !live.contains(number) { self[number] = nil }
    }
}
