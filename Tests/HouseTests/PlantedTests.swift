import Foundation
import Testing

@Suite("Planted bugs stay where they belong")
struct PlantedTests {
    private static let bugs = HouseTests.sources.appending(path: "Planted/PlantedBug.swift")
    private static let switchMark = "isPlanted(."

    @Test func `each bug has one switch in the cores, and each switch its bug`() throws {
        let names = try bugNames()
        #expect(names.count >= 40)
        var switches: [String: Int] = [:]
        for file in try sources() where file.path() != Self.bugs.path() {
            let text = try String(contentsOf: file, encoding: .utf8)
            for part in text.components(separatedBy: Self.switchMark).dropFirst() {
                switches[String(part.prefix { $0 != ")" }), default: 0] += 1
            }
        }
        #expect(Set(switches.keys) == Set(names))
        #expect(switches.filter { $0.value != 1 } == [:])
    }

    @Test func `each special hunt is for a mutant that there is`() throws {
        let hunts = try read("Sources/Simulator/Hunt.swift").split(separator: "\n").compactMap {
            line in
            let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
            return parts.count == 3 && parts[2].hasPrefix(":") ? String(parts[1]) : nil
        }
        #expect(hunts.count > 10)
        let bugs = try bugNames().map { name in
            name.reduce(into: "") { $0 += $1.isUppercase ? "-" + $1.lowercased() : String($1) }
        }
        let plan = try read("Sources/Simulator/Plan.swift")
        for hunt in hunts {
            #expect(bugs.contains(hunt) || plan.contains("= \"\(hunt)\""), "\(hunt)")
        }
    }

    @Test func `nothing but the target of the mutants compiles them in`() throws {
        let manifest = try read("Package.swift")
        #expect(!manifest.contains("PLANTED"))
        let recipes = try read("Makefile").split(separator: "\n").filter { $0.contains("PLANTED") }
        #expect(recipes.count == 1)
        #expect(recipes.allSatisfy { $0.contains(".build-planted") })
    }

    private func bugNames() throws -> [String] {
        try String(contentsOf: Self.bugs, encoding: .utf8).split(separator: "\n").compactMap {
            line in
            let line = line.trimmingCharacters(in: .whitespaces)
            return line.hasPrefix("case ") ? String(line.dropFirst("case ".count)) : nil
        }
    }

    private func sources() throws -> [URL] {
        let names = try FileManager.default.subpathsOfDirectory(atPath: HouseTests.sources.path())
        return names.filter { $0.hasSuffix(".swift") }.map {
            HouseTests.sources.appending(path: $0)
        }
    }

    private func read(_ name: String) throws -> String {
        try String(contentsOf: HouseTests.root.appending(path: name), encoding: .utf8)
    }
}
