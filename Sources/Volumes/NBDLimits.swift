package import Mesh

/// Every deadline and bound of the NBD server, by name.
package struct NBDLimits: Hashable, Sendable {
    package var connectionsPerExportMax = 64
    /// Accepted connections that have not opened an export.
    package var strangersMax = 64
    /// Per connection, from a request's header until its reply is written; past them the socket is
    /// not read.
    package var requestsInFlightMax = 128
    /// Data of writes, and of reads until they are written; one request alone always passes.
    package var bytesInFlightMax = 64 << 20
    /// The same over all connections; a connection with nothing in flight always passes, so that
    /// those who never read their replies can't keep the others out.
    package var bytesInFlightTotalMax = 512 << 20
    /// How long TLS and option haggling may take together.
    package var handshakeDeadline = Interval.seconds(5)
    /// How long the last replies of a generation that ended may take to leave.
    package var closingDeadline = Interval.seconds(1)
    /// Data of a refused write is read past up to this length; beyond it the connection closes.
    package var discardByteCountMax: UInt32 = 64 << 20
    /// What one BLOCK_STATUS is answered with at most; the client asks on from there.
    package var extentsMax = 1_024
    package var threadCount = 2
    package init() {}
}
