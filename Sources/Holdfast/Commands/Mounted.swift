internal import ArgumentParser
internal import Dispatch
internal import Glibc
internal import Mounts

/// Where a volume of the past is served, and how.
struct ServingOptions: ParsableArguments {
    @Option(
        help:
            "Where it is served: a path that nothing has, in a directory that you alone may write to."
    )
    var listen: String
    @Option(help: "A directory with room for what is written.")
    var overlay = "/var/tmp"
    @Flag(help: "Clients can't write.") var readOnly = false

    /// nil where nothing can be written.
    var overlayFolder: String? { readOnly ? nil : overlay }

    /// The place is this process's from here on, and what it makes is nobody else's.
    func claim() throws(Failure) -> MountClaim {
        let claim = try mounted { () throws(MountFailure) in
            try MountSocket.check(listen)
            let claim = try MountClaim(of: listen)
            // Before it was claimed another one may have come.
            try MountSocket.check(listen)
            return claim
        }
        umask(0o077)
        return claim
    }

    /// Until a signal ends it; `tell` is called once clients can come.
    func serve(
        _ volume: MountedVolume, as name: String, threads: Int, _ tell: () throws -> Void
    ) async throws {
        let mount = Mount(
            volume, name: name, socket: listen, isReadOnly: readOnly, threads: threads,
            tell: { Terminal.complain($0) })
        let end = EndSignals()
        do {
            do throws(MountFailure) { try await mount.start() } catch {
                throw Failure(.refused, "\(error)")
            }
            try tell()
        } catch {
            await mount.stop()
            throw error
        }
        await end.wait()
        await mount.stop()
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
