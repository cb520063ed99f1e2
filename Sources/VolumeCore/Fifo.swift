/// First in, first out; taking is cheap because the front moves and is dropped now and then.
struct Fifo<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var head = 0

    var count: Int { elements.count - head }
    var isEmpty: Bool { head == elements.count }
    var first: Element? { isEmpty ? nil : elements[head] }
    var all: ArraySlice<Element> { elements[head...] }

    /// The `place`-th from the front.
    subscript(place: Int) -> Element {
        get { elements[head + place] }
        set { elements[head + place] = newValue }
    }

    mutating func append(_ element: Element) { elements.append(element) }

    @discardableResult
    mutating func popFirst() -> Element? {
        guard !isEmpty else { return nil }
        let element = elements[head]
        head += 1
        if head * 2 > elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    mutating func removeAll() { self = Fifo() }

    /// Takes out what `isOut` names, in order.
    mutating func extract(where isOut: (Element) -> Bool) -> [Element] {
        let out = all.filter(isOut)
        elements = all.filter { !isOut($0) }
        head = 0
        return out
    }
}
