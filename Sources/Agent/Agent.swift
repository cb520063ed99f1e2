import Launch
import Settings

/// One region's agent: settings, then the shells, then the driver that turns the core.
@main
enum Agent {
    static func main() {
        Allocator.keepBounded()
        Daemon("holdfast-agent", role: .data) { try Stages($0, $1, $2) }.run()
    }
}
