internal import Fuzzing
internal import Glibc

enum Files {
    struct Failed: Error, CustomStringConvertible {
        let description: String
        init(_ deed: String, _ path: String) {
            description = "cannot \(deed) \(path): \(unsafe String(cString: strerror(errno)))"
        }
    }

    /// The longest input that any target takes, and more.
    private static let byteCountMax = 1 << 20

    static func read(_ path: String) throws(Failed) -> [UInt8] {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Failed("open", path) }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: byteCountMax)
        let count = unsafe bytes.withUnsafeMutableBytes {
            unsafe Glibc.read(file, $0.baseAddress, $0.count)
        }
        guard count >= 0 else { throw Failed("read", path) }
        return Array(bytes[..<count])
    }

    static func writeSeeds(into directory: String) throws {
        try makeDirectory(directory)
        for target in FuzzTarget.all {
            try makeDirectory("\(directory)/\(target.name)")
            for (number, seed) in try target.seeds().enumerated() {
                try write(seed, to: "\(directory)/\(target.name)/seed-\(number)")
            }
        }
    }

    private static func makeDirectory(_ path: String) throws(Failed) {
        guard unsafe mkdir(path, 0o755) == 0 || errno == EEXIST else {
            throw Failed("create", path)
        }
    }

    private static func write(_ bytes: [UInt8], to path: String) throws(Failed) {
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw Failed("create", path) }
        defer { close(file) }
        let count = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.write(file, $0.baseAddress, $0.count)
        }
        guard count == bytes.count else { throw Failed("write", path) }
    }

    static func complain(_ words: String) {
        let bytes = Array(words.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
