internal import CFuzzer
internal import Fuzzing
internal import Glibc

/// Runs the targets of `Fuzzing`: with libFuzzer where it is built in, and on single files anywhere.
@main
struct Fuzz {
    private static let usage = """
        usage: fuzz targets                          names all targets
               fuzz seeds DIRECTORY                  writes the seeds of each into DIRECTORY/TARGET
               fuzz replay TARGET FILE...            takes each file once
               fuzz run TARGET [OPTION|DIRECTORY]... hands over to libFuzzer, with its options
        """

    /// Names the target in a process that libFuzzer starts, which gets libFuzzer's own options alone.
    fileprivate static let variable = "HOLDFAST_FUZZ_TARGET"

    static func main() {
        if let target = inherited { exit(run(target, dropping: 0)) }
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            switch (arguments.first, arguments.count) {
            case ("targets", 1): print(FuzzTarget.all.map(\.name).joined(separator: "\n"))
            case ("seeds", 2): try Files.writeSeeds(into: arguments[1])
            case ("replay", 3...): try replay(named(arguments[1]), arguments.dropFirst(2))
            case ("run", 2...):
                let target = named(arguments[1])
                unsafe setenv(variable, target.name, 1)
                exit(run(target, dropping: 2))
            default: fail(usage, code: 2)
            }
        } catch {
            fail("fuzz: \(error)", code: 1)
        }
    }

    private static func named(_ name: String) -> FuzzTarget {
        guard let target = FuzzTarget.named(name) else {
            fail("fuzz: no target is named \(name): see `fuzz targets`", code: 2)
        }
        return target
    }

    private static func replay(_ target: FuzzTarget, _ paths: ArraySlice<String>) throws {
        for path in paths {
            print("\(path): \(try target.take(Files.read(path)))")
        }
    }

    fileprivate static var inherited: FuzzTarget? {
        unsafe getenv(variable).flatMap { unsafe FuzzTarget.named(String(cString: $0)) }
    }

    /// `dropping` so many arguments behind the program's name.
    private static func run(_ target: FuzzTarget, dropping count: Int) -> CInt {
        var arguments = unsafe (0..<CommandLine.arguments.count)
            .filter { $0 == 0 || $0 > count }
            .map { unsafe CommandLine.unsafeArgv[$0] }
        let limit = "-max_len=\(target.byteCountMax)"
        unsafe arguments.insert(strdup(limit), at: 1)
        let code = unsafe arguments.withUnsafeMutableBufferPointer {
            unsafe holdfast_fuzz(CInt($0.count), $0.baseAddress) { unsafe take($0, $1) }
        }
        guard code != -1 else {
            fail("fuzz: this build has no libFuzzer: `make fuzz` makes one that has", code: 2)
        }
        return code
    }

    private static func fail(_ words: String, code: CInt) -> Never {
        Files.complain(words + "\n")
        exit(code)
    }
}

/// What libFuzzer's callback, which can hold nothing, goes on with.
private let chosen = Fuzz.inherited

private func take(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    do { _ = try chosen?.take(bytes) } catch {
        Files.complain("== \(error)\n")
        abort()
    }
    return 0
}
