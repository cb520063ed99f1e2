package import Mesh

/// What each member says of itself: last-writer-wins registers, one writer each. A delta is a list
/// of registers, so the map is its own delta-state CRDT (Almeida, Shoker, Baquero 2018).
package struct HealthMap: Hashable, Sendable {
    /// How long before publication the publisher last heard one member *directly*. Intervals, for
    /// two members' instants never compare.
    package struct Heard: Hashable, Comparable, Sendable {
        package let node: NodeID
        package let agoMilliseconds: UInt32
        package init(node: NodeID, agoMilliseconds: UInt32) {
            self.node = node
            self.agoMilliseconds = agoMilliseconds
        }
        package static func < (a: Self, b: Self) -> Bool {
            (a.node, a.agoMilliseconds) < (b.node, b.agoMilliseconds)
        }
    }

    /// When a register was written: its writer's incarnation, then a counter.
    package struct Version: Hashable, Comparable, Sendable {
        package var incarnation: Incarnation
        package var counter: UInt64
        package init(incarnation: Incarnation, counter: UInt64) {
            self.incarnation = incarnation
            self.counter = counter
        }
        package static let none = Version(incarnation: .zero, counter: 0)
        package static func < (a: Self, b: Self) -> Bool {
            (a.incarnation, a.counter) < (b.incarnation, b.counter)
        }
    }

    package struct Register: Hashable, Sendable {
        package let node: NodeID
        package var version: Version
        /// Opaque here, at most `Gossip.Limit.registerBytesMax`.
        package var bytes: [UInt8]
        /// The writer's row of the reachability matrix, sorted by member.
        package var heard: [Heard]
        package init(node: NodeID, version: Version, bytes: [UInt8], heard: [Heard]) {
            self.node = node
            self.version = version
            self.bytes = bytes
            self.heard = heard
        }

        /// Total even between clones that write one version twice: otherwise the order of arrival
        /// would decide, and maps would never agree.
        func precedes(_ other: Register) -> Bool {
            if version != other.version { return version < other.version }
            if bytes != other.bytes { return bytes.lexicographicallyPrecedes(other.bytes) }
            return heard.lexicographicallyPrecedes(other.heard)
        }
    }

    /// Sorted by member.
    package private(set) var registers: [Register] = []

    package init() {}

    package subscript(node: NodeID) -> Register? {
        let i = place(of: node)
        return i < registers.count && registers[i].node == node ? registers[i] : nil
    }

    package func version(of node: NodeID) -> Version { self[node]?.version ?? .none }

    /// True when the map learned something.
    @discardableResult
    package mutating func merge(_ register: Register) -> Bool {
        let i = place(of: register.node)
        guard i < registers.count, registers[i].node == register.node else {
            registers.insert(register, at: i)
            return true
        }
        guard registers[i].precedes(register) else { return false }
        registers[i] = register
        return true
    }

    package mutating func merge(_ other: HealthMap) {
        for register in other.registers { merge(register) }
    }

    package mutating func keep(only lawful: (NodeID) -> Bool) {
        registers.removeAll { !lawful($0.node) }
    }

    private func place(of node: NodeID) -> Int {
        var low = 0
        var high = registers.count
        while low < high {
            let middle = (low + high) / 2
            if registers[middle].node < node { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
