internal import Glibc

enum FileSystem {
    /// What is in a directory, sorted; nothing where there is none.
    static func names(in path: String) throws(StateFile.Failed) -> [String] {
        guard let stream = unsafe opendir(path) else {
            if errno == ENOENT { return [] }
            throw StateFile.Failed(path: path, deed: "list", code: errno)
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if name != "." && name != ".." { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw StateFile.Failed(path: path, deed: "list", code: errno) }
        return names.sorted()
    }

    /// Makes the names in a directory durable.
    static func syncDirectory(_ path: String) throws(StateFile.Failed) {
        let folder = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw StateFile.Failed(path: path, deed: "open", code: errno) }
        defer { close(folder) }
        guard fsync(folder) == 0 else {
            throw StateFile.Failed(path: path, deed: "sync", code: errno)
        }
    }
}
