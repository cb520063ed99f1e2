/// A core that a driver or a simulator turns: values in, effects out, and equal histories give
/// equal effects.
package protocol Core: Sendable {
    associatedtype Event: Sendable
    associatedtype Effect: Sendable
    /// Delivered when `deadline` is reached; earlier does no harm.
    static var wake: Event { get }
    var deadline: Instant { get }
    /// The only door.
    mutating func handle(_ event: Event, at now: Instant, _ effects: inout [Effect])
}
