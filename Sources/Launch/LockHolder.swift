internal import FoundationEssentials
internal import Glibc

/// The process that holds a lock on a directory, as far as the system tells.
package struct LockHolder: Hashable, Sendable, CustomStringConvertible {
    package let pid: Int32
    /// The program's name, where it can be seen.
    package let program: String?

    package var description: String {
        "process \(pid)" + (program.map { " (\($0))" } ?? "")
    }

    /// nil when nobody holds it, or when the holder can't be seen from here.
    package init?(of path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0,
            let table = FileManager.default.contents(atPath: "/proc/locks"),
            let pid = Self.holder(
                of: UInt64(status.st_ino), device: UInt64(status.st_dev),
                in: String(decoding: table, as: UTF8.self))
        else { return nil }
        self.pid = pid
        program = FileManager.default.contents(atPath: "/proc/\(pid)/comm").map {
            String(decoding: $0, as: UTF8.self).filter { !$0.isNewline }
        }
    }

    /// Reads proc_locks(5): `1: FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF`, the device's two
    /// numbers in hexadecimal. A holder in another namespace of processes has no positive id.
    static func holder(of inode: UInt64, device: UInt64, in table: String) -> Int32? {
        let major = device >> 8 & 0xfff | device >> 32 & ~0xfff
        let minor = device & 0xff | device >> 12 & ~0xff
        for line in table.split(separator: "\n") {
            let words = line.split(separator: " ")
            // A waiting process has an arrow behind the number.
            guard words.count >= 6, words[1] == "FLOCK", let pid = Int32(words[4]), pid > 0
            else { continue }
            let place = words[5].split(separator: ":")
            guard place.count == 3, UInt64(place[0], radix: 16) == major,
                UInt64(place[1], radix: 16) == minor, UInt64(place[2]) == inode
            else { continue }
            return pid
        }
        return nil
    }
}
