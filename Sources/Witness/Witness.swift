import Launch
import Settings

/// The third site's vote: consensus, gossip and a log that is nearly always empty.
@main
enum Witness {
    static func main() {
        Allocator.keepSmall()
        Daemon("holdfast-witness", role: .witness) { try Running($0, $1, $2) }.run()
    }
}
