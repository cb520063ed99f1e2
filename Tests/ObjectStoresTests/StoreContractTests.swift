import Repository
import Testing

/// What the repository asks of every store.
@Suite("What a store promises", .serialized) struct StoreContractTests {
    static func name(_ text: String) throws -> ObjectName { try #require(ObjectName(text)) }

    static func failure(_ deed: () throws -> Any) -> ObjectStoreFailure? {
        do {
            _ = try deed()
            return nil
        } catch { return error as? ObjectStoreFailure }
    }

    @Test(arguments: BenchKind.all)
    func `what was put there is there, whole and in parts`(kind: BenchKind) throws {
        let bench = try kind.made()
        defer { withExtendedLifetime(bench) {} }
        let store = try bench.opened()
        let (name, bytes) = (try Self.name("packs/ab/cd"), [UInt8](0..<200))
        #expect(try store.put(name, bytes) == .stored)
        #expect(try store.get(name, nil) == bytes)
        #expect(try store.get(name, 10..<20) == Array(bytes[10..<20]))
        #expect(try store.get(name, 0..<200) == bytes)
        #expect(try store.get(name, 200..<200) == [] && store.get(name, 0..<0) == [])
        // Another one who opens it finds the same.
        #expect(try bench.opened().get(name, nil) == bytes)
        let (empty, nothing) = (try Self.name("empty"), [UInt8]())
        #expect(try store.put(empty, nothing) == .stored && store.put(empty, nothing) == .wasThere)
        #expect(try store.get(empty, nil) == [] && store.get(empty, 0..<0) == [])
    }

    @Test(arguments: BenchKind.all)
    func `nothing is written over`(kind: BenchKind) throws {
        let bench = try kind.made()
        defer { withExtendedLifetime(bench) {} }
        let store = try bench.opened()
        let name = try Self.name("manifests/0000000000000001")
        #expect(try store.put(name, [1, 2, 3]) == .stored)
        #expect(try store.put(name, [1, 2, 3]) == .wasThere)
        #expect(Self.failure { try store.put(name, [1, 2, 4]) }?.cause == .taken)
        #expect(try store.get(name, nil) == [1, 2, 3])
    }

    @Test(arguments: BenchKind.all)
    func `of many who put the same name at once, one stores it`(kind: BenchKind) async throws {
        let bench = try kind.made()
        defer { withExtendedLifetime(bench) {} }
        let store = try bench.opened()
        let name = try Self.name("manifests/1")
        let ends = await withTaskGroup(of: String.self) { group in
            for writer in 0..<16 {
                group.addTask {
                    do throws(ObjectStoreFailure) {
                        return "\(try store.put(name, [UInt8(writer % 2)]))"
                    } catch { return "\(error.cause)" }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(ends.filter { $0 == "stored" }.count == 1)
        #expect(ends.filter { $0 == "wasThere" }.count == 7)
        #expect(ends.filter { $0 == "taken" }.count == 8)
    }

    @Test(arguments: BenchKind.all)
    func `a list names each object and each stranger, and nothing unfinished`(
        kind: BenchKind
    ) throws {
        let bench = try kind.made()
        defer { withExtendedLifetime(bench) {} }
        let store = try bench.opened()
        #expect(try store.list(nil) == ObjectListing())
        for text in ["packs/b/2", "packs/a/1", "index/x", "config", "packs/bc/3"] {
            _ = try store.put(Self.name(text), Array(text.utf8))
        }
        for stranger in ["packs/a/Lost+Found", "packs/.hidden"] { try bench.plant(stranger, [1]) }
        let all = try store.list(nil)
        #expect(
            all.objects.map(\.name.text)
                == ["config", "index/x", "packs/a/1", "packs/b/2", "packs/bc/3"])
        #expect(all.objects.map(\.byteCount) == [6, 7, 9, 9, 10])
        #expect(all.strangers == ["packs/.hidden", "packs/a/Lost+Found"])
        let packs = try store.list(Self.name("packs/b"))
        #expect(packs.objects.map(\.name.text) == ["packs/b/2"] && packs.strangers == [])
        #expect(try store.list(Self.name("wal")) == ObjectListing())
    }

    /// B9: what is damaged is neither served nor lost, and can be put again.
    @Test(arguments: BenchKind.all)
    func `a damaged object is taken out of the way`(kind: BenchKind) throws {
        let bench = try kind.made()
        defer { withExtendedLifetime(bench) {} }
        let store = try bench.opened()
        let name = try Self.name("packs/ab/1")
        _ = try store.put(name, [1, 2, 3])
        try bench.plant("packs/ab/1", [1, 9, 3])
        #expect(Self.failure { try store.put(name, [1, 2, 3]) }?.cause == .taken)
        try store.quarantine(name)
        #expect(Self.failure { try store.get(name, nil) }?.cause == .missing)
        #expect(try store.put(name, [1, 2, 3]) == .stored)
        #expect(try store.list(nil).objects.map(\.name) == [name])
        #expect(try store.list(nil).strangers == [])
        let kept = try bench.quarantined()
        #expect(kept.count == 1 && kept.first?.key.hasPrefix("packs.ab.1.") == true)
        #expect(kept.first?.value == [1, 9, 3])
        #expect(Self.failure { try store.quarantine(Self.name("no")) }?.cause == .missing)
    }

    /// B9: at no moment is nothing there, and what was damaged is kept.
    @Test(arguments: BenchKind.all)
    func `whole bytes take the place of damaged ones`(kind: BenchKind) throws {
        let bench = try kind.made()
        defer { withExtendedLifetime(bench) {} }
        let store = try bench.opened()
        let name = try Self.name("packs/ab/1")
        try bench.plant("packs/ab/1", [1, 9, 3])
        try store.replace(name, with: [1, 2, 3])
        #expect(try store.get(name, nil) == [1, 2, 3])
        #expect(try bench.quarantined().values.sorted { $0.count < $1.count } == [[1, 9, 3]])
        #expect(try store.list(nil).objects.map(\.name) == [name])
        #expect(try store.list(nil).strangers == [])
        // Where nothing is, it is put.
        let other = try Self.name("packs/ab/2")
        try store.replace(other, with: [4])
        #expect(try store.get(other, nil) == [4])
        #expect(try bench.quarantined().count == 1)
    }

    /// What is erased must not live on there.
    @Test(arguments: BenchKind.all)
    func `what is in quarantine is deleted by what it was, and nothing else`(
        kind: BenchKind
    ) throws {
        let bench = try kind.made()
        defer { withExtendedLifetime(bench) {} }
        let store = try bench.opened()
        #expect(try store.deleteQuarantined(Self.name("a/keys")) == 0)
        for text in ["a/keys/1", "a/keys/2", "a/packs/1", "ab/keys/1"] {
            _ = try store.put(Self.name(text), [1])
            try store.quarantine(Self.name(text))
        }
        #expect(try store.deleteQuarantined(Self.name("a/keys")) == 2)
        let left = try bench.quarantined().keys.map { $0.split(separator: ".").prefix(2) }
        #expect(Set(left.map { $0.joined(separator: ".") }) == ["a.packs", "ab.keys"])
    }

    /// B7: a list that is short because the store is gone must not pass for an empty one.
    @Test(arguments: BenchKind.all)
    func `a store that is gone is no empty one`(kind: BenchKind) throws {
        let store = try kind.made().gone()
        let name = try Self.name("packs/a")
        var failures = [
            Self.failure { try store.list(nil) }, Self.failure { try store.list(name) },
            Self.failure { try store.get(name, nil) }, Self.failure { try store.delete(name) },
        ]
        // SeaweedFS makes a bucket for what is put into one that is not there.
        if kind != .realS3 { failures.append(Self.failure { try store.put(name, [1]) }) }
        #expect(failures.allSatisfy { $0?.cause == .storeGone }, "\(failures)")
    }

    @Test(arguments: BenchKind.all)
    func `what is deleted is gone, once`(kind: BenchKind) throws {
        let bench = try kind.made()
        defer { withExtendedLifetime(bench) {} }
        let store = try bench.opened()
        let name = try Self.name("packs/a")
        _ = try store.put(name, [1])
        #expect(try store.delete(name) && store.delete(name) == false)
        #expect(Self.failure { try store.get(name, nil) }?.cause == .missing)
        #expect(Self.failure { try store.get(name, 0..<0) }?.cause == .missing)
    }

    @Test(arguments: BenchKind.all)
    func `a read gives all that was asked for, or says what is missing`(kind: BenchKind) throws {
        let bench = try kind.made()
        defer { withExtendedLifetime(bench) {} }
        let store = try bench.opened()
        _ = try store.put(Self.name("a"), [1, 2])
        for range in [0..<3, 1..<3, 2..<3, 3..<3, 5..<9] {
            let short = Self.failure { try store.get(Self.name("a"), range) }
            #expect(short?.cause == .short(wanted: range.upperBound, have: 2), "\(range)")
        }
        let much = [UInt8](repeating: 0, count: (64 << 20) + 1)
        let refused = Self.failure { try store.put(Self.name("much"), much) }
        #expect(refused?.cause == .oversized(much.count))
        #expect(Self.failure { try store.get(Self.name("much"), nil) }?.cause == .missing)
    }

    @Test(arguments: BenchKind.all)
    func `an object as large as a pack comes back as it went`(kind: BenchKind) throws {
        let bench = try kind.made()
        defer { withExtendedLifetime(bench) {} }
        let store = try bench.opened()
        let part = (0..<1 << 16).map { UInt8(truncatingIfNeeded: $0 &* 0x9e37_79b1 >> 13) }
        var bytes: [UInt8] = [7]
        for count in 0..<256 { bytes += [UInt8(count)] + part }
        let name = try Self.name("packs/ab/large")
        #expect(try store.put(name, bytes) == .stored)
        #expect(try store.get(name, nil) == bytes)
        let tail = bytes.count - 131_072..<bytes.count
        #expect(try store.get(name, tail) == Array(bytes[tail]))
    }
}
