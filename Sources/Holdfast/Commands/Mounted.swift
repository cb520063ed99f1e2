internal import Dispatch
internal import Glibc
internal import Mounts

extension MountClaim {
    /// The place where a mount is to listen is this process's from here on.
    static func taken(of socket: String) throws(Failure) -> MountClaim {
        try mounted { () throws(MountFailure) in
            try MountSocket.check(socket)
            let claim = try MountClaim(of: socket)
            // Before it was claimed another one may have come.
            try MountSocket.check(socket)
            return claim
        }
    }
}

/// What `deed` gives, or its failure as the command's.
func mounted<Value>(
    _ deed: () throws(MountFailure) -> Value
) throws(Failure) -> Value {
    do throws(MountFailure) { return try deed() } catch { throw Failure(.refused, "\(error)") }
}

/// SIGINT, SIGTERM and SIGHUP as an end that can be waited for.
struct EndSignals {
    private let sources: [any DispatchSourceSignal]
    private let ends: AsyncStream<Void>

    init() {
        let (ends, told) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.ends = ends
        sources = [SIGINT, SIGTERM, SIGHUP].map { number in
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { told.yield() }
            source.resume()
            return source
        }
    }

    func wait() async {
        for await _ in ends { break }
        for source in sources { source.cancel() }
    }
}
