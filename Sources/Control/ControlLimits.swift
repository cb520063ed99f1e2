internal import NIOCore

/// Every bound and deadline of the admin socket, by name.
package struct ControlLimits: Hashable, Sendable {
    package static let bodyBytesMax = 64 << 10
    package static let headerBytesMax = 16 << 10
    package static let headersMax = 64
    package static let targetBytesMax = 4 << 10
    /// The longest answer that a client takes.
    package static let answerBytesMax = 8 << 20

    package var connectionsMax = 32
    /// How many more are told why they are turned away; what comes above is closed without a word.
    package var turnedAwayMax = 32
    /// How long a connection that is turned away may take to ask.
    package var refusedDeadline = Duration.seconds(2)
    /// How long a request may take to arrive: an idle connection holds its place no longer.
    package var arrivalDeadline = Duration.seconds(30)
    /// How long the door may take to answer.
    package var answerDeadline = Duration.seconds(15)
    /// How long the reader may take to fetch the answer.
    package var fetchDeadline = Duration.seconds(30)
    /// How long a client waits in all: longer than the door may take, so that it hears of that.
    package var clientDeadline = Duration.seconds(20)

    package init() {}
}
