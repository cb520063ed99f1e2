import Foundation
import Testing

@Suite("The house inspects itself")
struct HouseTests {
    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let sources = root.appending(path: "Sources")

    static let modules: [String] = {
        let names = try? FileManager.default.contentsOfDirectory(atPath: sources.path())
        return (names ?? []).filter { !$0.hasPrefix(".") }.sorted()
    }()
    static let pureModules = modules.filter { Rules.imports[$0] != nil }

    @Test func `the checks found the house`() {
        #expect(Self.pureModules.contains("Mesh"))
        #expect(Self.modules.contains("CChecksum"))
    }

    @Test func `every pure target has a row in the table of imports`() throws {
        let manifest = try read(Self.root.appending(path: "Package.swift"))
        let targets = Rules.pureTargets(inManifest: manifest)
        #expect(targets.contains("Mesh"))
        #expect(targets.filter { Rules.imports[$0] == nil } == [])
    }

    @Test(arguments: pureModules)
    func `a pure module imports nothing that can touch the world`(module: String) throws {
        for file in try swiftFiles(of: module) {
            let foreign = Rules.foreignImports(
                in: try read(file), allowed: Rules.imports[module] ?? [])
            #expect(foreign == [], "\(file.lastPathComponent)")
        }
    }

    @Test(arguments: pureModules)
    func `a pure module takes time and chance as arguments`(module: String) throws {
        for file in try swiftFiles(of: module) {
            var found = Rules.bannedWords(in: try read(file))
            if module == "Mesh", file.lastPathComponent == "Invariant.swift" {
                found.removeAll { $0 == "fatalError(" }
            }
            #expect(found == [], "\(module)/\(file.lastPathComponent)")
        }
    }

    @Test(arguments: modules)
    func `a file fits in a head`(module: String) throws {
        for file in try swiftFiles(of: module) where !file.path().hasSuffix(".pb.swift") {
            #expect(!Rules.isTooLong(try read(file)), "\(module)/\(file.lastPathComponent)")
        }
    }

    @Test(arguments: modules)
    func `a module has a page that says what it is for and what it is not`(module: String) throws {
        let page = Self.root.appending(path: "docs/modules/\(module).md")
        #expect(Rules.missingParts(inPage: try read(page)) == [])
    }

    /// It has to stay small, and what it does not link can't be attacked.
    @Test func `a witness links nothing of backups, nor a client of any service`() throws {
        let manifest = try read(Self.root.appending(path: "Package.swift"))
        let linked = Rules.linked(by: "Witness", inManifest: manifest)
        #expect(linked.isSuperset(of: ["Transport", "Mesh", "nioSSL"]))
        #expect(
            linked.isDisjoint(with: [
                "asyncHTTP", "Backup", "ObjectStores", "Repository", "S3Protocol", "S3Store",
                "StoreChoice",
                "Volumes",
            ]))
        #expect(Rules.linked(by: "Agent", inManifest: manifest).contains("asyncHTTP"))
    }

    private func swiftFiles(of module: String) throws -> [URL] {
        let folder = Self.sources.appending(path: module)
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path())
        return names.filter { $0.hasSuffix(".swift") }.sorted().map { folder.appending(path: $0) }
    }

    private func read(_ file: URL) throws -> String {
        try String(contentsOf: file, encoding: .utf8)
    }
}

@Suite("The rules see what they forbid")
struct RulesTests {
    @Test(arguments: [
        "import Glibc", "package import Foundation", "  @preconcurrency import Dispatch",
        "internal import struct Foundation.Date", "import Mesh; import NIOCore", "import MeshShell",
    ])
    func `a foreign import is seen in any dress`(text: String) {
        #expect(Rules.foreignImports(in: text, allowed: ["Mesh"]).count == 1)
    }

    @Test(arguments: ["import Mesh", "package import Mesh", "internal import struct Mesh.Term"])
    func `an allowed import is left alone`(text: String) {
        #expect(Rules.foreignImports(in: text, allowed: ["Mesh"]) == [])
    }

    @Test(arguments: [
        "let at = Date()", "ContinuousClock.now", "self.clock.now", "let at = clock.now + 1",
        "Task { await go() }",
        "try! open()", "fatalError(\"no\")", "// FIXME later", "// TODO later",
        "var chance = SystemRandomNumberGenerator()", "Int.random(in: 0..<(2 + 3))",
        "UInt64.random(in: a..<b)\nf(using: &chance)",
    ])
    func `a banned word is seen`(text: String) {
        #expect(Rules.bannedWords(in: text).count == 1)
    }

    @Test(arguments: [
        "case .nowhere", "self.now = now", "let mandate: UpDate", "withTask(group)", "try open()",
        "Int.random(in: 0..<max(2, 3), using: &chance)",
    ])
    func `a harmless look-alike is left alone`(text: String) {
        #expect(Rules.bannedWords(in: text) == [])
    }

    @Test func `a file of 600 lines fits, one more does not`() {
        let fits = String(repeating: "x\n", count: Rules.linesMax)
        #expect(!Rules.isTooLong(fits))
        #expect(Rules.isTooLong(fits + "x\n"))
    }

    @Test func `a page lacks a part that is absent or empty`() {
        let page = "# M\n\n## Purpose\n\nSome.\n\n## It does not\n\n## Invariants\n"
        #expect(Rules.missingParts(inPage: page) == ["It does not", "Invariants"])
        #expect(Rules.missingParts(inPage: "") == Rules.parts)
    }

    @Test func `what a target links is followed to its end`() {
        let manifest = """
            shell("A", ["B", yams]),
            shell(
                "B",
                [
                    "C", nio,
                ]),
            executable("D", ["A"], path: "Sources/D"),
            tests("E", ["Z"]),
            """
        #expect(
            Rules.linked(by: "D", inManifest: manifest) == ["A", "B", "C", "yams", "nio"])
    }

    @Test func `a pure target is read from the manifest`() {
        let manifest = "    pure(\"A\", []),\n    shell(\"B\", []),\nfunc pure(_ name: String)"
        #expect(Rules.pureTargets(inManifest: manifest) == ["A"])
    }
}
