extension Array {
    /// Empties the array and keeps its room: each element moves to `body`, the first one first. Going
    /// through an array of effects copies each, and emptying it then destroys what was copied.
    @inlinable package mutating func drain(_ body: (consuming Element) -> Void) {
        // Hardly ever more than a few: to move those up by one each time costs a tenth of turning them
        // around, where each is copied thrice.
        while 2...8 ~= count { body(remove(at: 0)) }
        if count > 1 { reverse() }
        while let next = popLast() { body(next) }
    }
}
