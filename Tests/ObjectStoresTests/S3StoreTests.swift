import Mesh
import NIOConcurrencyHelpers
import Repository
import S3Protocol
import S3Store
import Testing

@Suite("Objects in a bucket") struct S3StoreTests {
    /// A store in a service of its own, whose clock is moved by its pauses alone.
    private struct Room {
        let service: FakeS3
        let store: S3Store
        let slept: NIOLockedValueBox<[Interval]>

        init(
            knowsConditions: Bool = true, patience: S3Patience = S3Patience(),
            unixSeconds: UInt64 = 1_440_938_160
        ) {
            let service = FakeS3(knowsConditions: knowsConditions)
            let slept = NIOLockedValueBox<[Interval]>([])
            let world = S3World(
                now: {
                    Instant.zero + slept.withLockedValue { $0.reduce(.seconds(1)) { $0 + $1 } }
                }, unixSeconds: { unixSeconds },
                sleep: { interval in slept.withLockedValue { $0.append(interval) } })
            store = S3Bench(service, bucket: FakeS3.bucket).opened(patience, world: world)
            (self.service, self.slept) = (service, slept)
        }

        func fail(_ faults: FakeS3.Fault...) {
            service.state.withLockedValue { $0.faults = faults }
        }

        var requests: [S3Request] { service.state.withLockedValue { $0.requests } }
    }

    private static func name(_ text: String) throws -> ObjectName {
        try StoreContractTests.name(text)
    }
    private static func failure(_ deed: () throws -> Any) -> ObjectStoreFailure? {
        StoreContractTests.failure(deed)
    }

    @Test func `a store that writes over what is there is found out before anything is put`() throws
    {
        let room = Room(knowsConditions: false)
        let name = try Self.name("packs/a")
        let refused = Self.failure { try room.store.put(name, [1]) }
        #expect(refused?.description.contains("writes over what is there") == true)
        #expect(refused?.description.contains("use another store") == true)
        let keys = room.service.state.withLockedValue { $0.objects.keys.sorted() }
        #expect(keys == ["p/q/.put-if-absent"])
        #expect(Self.failure { try room.store.quarantine(name) } != nil)
    }

    @Test func `what a store promises is tried once, with one request where it was tried before`()
        throws
    {
        let room = Room()
        for text in ["a", "b", "c"] { _ = try room.store.put(Self.name(text), [1]) }
        #expect(room.requests.count == 5)
        let again = S3Bench(room.service, bucket: FakeS3.bucket).opened(S3Patience())
        _ = try again.put(Self.name("d"), [1])
        #expect(room.requests.count == 7)
        #expect(try room.store.list(nil).strangers == [])
    }

    @Test func `every put is conditional, and vouched for twice`() throws {
        let room = Room()
        _ = try room.store.put(Self.name("a"), Array("abc".utf8))
        let put = try #require(room.requests.last)
        let headers = Dictionary(uniqueKeysWithValues: put.headers.map { ($0.name, $0.value) })
        #expect(headers["if-none-match"] == "*")
        #expect(
            headers["x-amz-content-sha256"]
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(headers["x-amz-checksum-sha256"] == "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")
        #expect(headers["host"] == "127.0.0.1:1" && headers["x-amz-date"] == "20150830T123600Z")
        #expect(headers["authorization"]?.contains("if-none-match;") == true)
    }

    @Test func `what may be better next time is tried again, with pauses`() throws {
        let room = Room()
        _ = try room.store.put(Self.name("a"), [1])
        room.fail(
            .answer(FakeS3.error(500, "InternalError")), .answer(FakeS3.error(503, "SlowDown")),
            .mishap(.broken("reset")), .answer(FakeS3.error(200, "InternalError")),
            .answer(S3Answer(status: 429, headers: ["retry-after": "7"])))
        #expect(try room.store.put(Self.name("b"), [2]) == .stored)
        let slept = room.slept.withLockedValue { $0 }
        #expect(slept.count == 5 && slept[4] == .seconds(7))
        #expect(try room.store.get(Self.name("b"), nil) == [2])
    }

    @Test func `what was stored and whose answer was lost is there, and is the same`() throws {
        let room = Room()
        _ = try room.store.put(Self.name("a"), [1])
        room.fail(.lost)
        #expect(try room.store.put(Self.name("b"), [2]) == .wasThere)
        room.fail(.lost)
        #expect(try room.store.delete(Self.name("a")))
    }

    @Test func `patience ends, by tries and by time, and says what every try met with`() throws {
        var patience = S3Patience()
        patience.triesMax = 3
        let room = Room(patience: patience)
        let slow = FakeS3.Fault.answer(FakeS3.error(503, "SlowDown"))
        room.fail(slow, slow, slow)
        let tired = Self.failure { try room.store.get(Self.name("a"), nil) }
        #expect(tired?.description.contains("SlowDown: so; given up after 3 tries") == true)
        #expect(room.requests.count == 3)
        patience.triesMax = 1_000
        patience.total = .seconds(60)
        let other = Room(patience: patience)
        other.service.state.withLockedValue { $0.faults = Array(repeating: slow, count: 1_000) }
        #expect(Self.failure { try other.store.get(Self.name("a"), nil) } != nil)
        let slept = other.slept.withLockedValue { $0.reduce(.zero) { $0 + $1 } }
        #expect(slept < .seconds(60) && other.requests.count < 200)
    }

    @Test func `credentials that are not accepted are not tried again`() throws {
        for code in ["InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"] {
            let room = Room()
            room.fail(.answer(FakeS3.error(403, code)))
            let refused = Self.failure { try room.store.get(Self.name("a"), nil) }
            #expect(refused?.description.contains(code) == true && room.requests.count == 1)
        }
        let room = Room()
        room.fail(.mishap(.hopeless("not trusted")))
        #expect(Self.failure { try room.store.list(nil) } != nil && room.requests.count == 1)
    }

    /// Whatever goes wrong: the failure names the place, the object, and no secret.
    @Test func `a failure names the bucket and the object, and no secret`() throws {
        let faults: [FakeS3.Fault] = [
            .answer(FakeS3.error(403, "SignatureDoesNotMatch")), .mishap(.hopeless("no")),
            .answer(FakeS3.error(301, "PermanentRedirect")), .mishap(.tooLong),
            .answer(FakeS3.error(403, "RequestTimeTooSkewed", ["date": "then"])),
        ]
        for fault in faults {
            let room = Room()
            room.fail(fault)
            let said =
                "\(try #require(Self.failure { try room.store.get(Self.name("packs/a"), nil) }))"
            #expect(
                said.hasPrefix("cannot read packs/a in s3://bucket/p/q at http://127.0.0.1:1: "))
            #expect(!said.contains("s3cret"))
            var dumped = ""
            dump(room.store, to: &dumped)
            #expect(!dumped.contains("s3cret"))
        }
    }

    @Test func `an answer that is short or another part is asked for again`() throws {
        let room = Room()
        let (name, bytes) = (try Self.name("a"), [UInt8](0..<100))
        _ = try room.store.put(name, bytes)
        let cut = FakeS3.Fault.garbled {
            S3Answer(status: $0.status, headers: $0.headers, body: Array($0.body.dropLast(3)))
        }
        let other = FakeS3.Fault.garbled {
            S3Answer(status: 206, headers: ["content-range": "bytes 0-9/100"], body: $0.body)
        }
        let unsaid = FakeS3.Fault.garbled { S3Answer(status: 206, body: $0.body) }
        room.fail(cut, other, unsaid)
        #expect(try room.store.get(name, 50..<60) == Array(bytes[50..<60]))
        #expect(room.slept.withLockedValue { $0.count } == 3)
        let wrong = FakeS3.Fault.garbled {
            S3Answer(
                status: 200,
                headers: ["x-amz-checksum-sha256": "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="],
                body: $0.body)
        }
        room.fail(wrong)
        #expect(try room.store.get(name, nil) == bytes)
        #expect(room.slept.withLockedValue { $0.count } == 4)
    }

    @Test func `a store that gives all where a part was asked for is cut to it`() throws {
        let room = Room()
        let (name, bytes) = (try Self.name("a"), [UInt8](0..<100))
        _ = try room.store.put(name, bytes)
        let all = FakeS3.Fault.answer(S3Answer(status: 200, body: bytes))
        room.fail(all, all)
        #expect(try room.store.get(name, 50..<60) == Array(bytes[50..<60]))
        #expect(
            Self.failure { try room.store.get(name, 50..<101) }?.cause
                == .short(wanted: 101, have: 100))
    }

    @Test func `a store that says it holds something else than was put is a failure`() throws {
        let room = Room()
        _ = try room.store.put(Self.name("a"), [1])
        room.fail(.answer(S3Answer(status: 200, headers: ["x-amz-checksum-sha256": "AAAA"])))
        let said = Self.failure { try room.store.put(Self.name("b"), [2]) }?.description
        #expect(said?.contains("something else") == true)
    }

    @Test func `what is in the way and gone is put again, and not for ever`() throws {
        let room = Room()
        _ = try room.store.put(Self.name("a"), [1])
        let busy = FakeS3.Fault.answer(FakeS3.error(409, "ConditionalRequestConflict"))
        let none = FakeS3.Fault.answer(FakeS3.error(404, "NoSuchKey"))
        room.fail(busy, none)
        #expect(try room.store.put(Self.name("b"), [2]) == .stored)
        room.service.state.withLockedValue {
            $0.faults = (0..<50).map { $0.isMultiple(of: 2) ? busy : none }
        }
        let said = Self.failure { try room.store.put(Self.name("c"), [2]) }?.description
        #expect(said?.contains("in its way and gone") == true)
    }

    @Test func `a list that is short, goes in circles or names what is elsewhere is a failure`()
        throws
    {
        let room = Room()
        for text in ["a", "b", "c"] { _ = try room.store.put(Self.name(text), [1]) }
        func page(_ inside: String) -> FakeS3.Fault {
            .answer(
                S3Answer(
                    status: 200, body: Array("<ListBucketResult>\(inside)</ListBucketResult>".utf8))
            )
        }
        let loop = page(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>")
        room.fail(loop, loop)
        #expect(Self.failure { try room.store.list(nil) }?.description.contains("circles") == true)
        let end = "<IsTruncated>false</IsTruncated>"
        room.fail(page(end + "<Contents><Key>elsewhere</Key><Size>1</Size></Contents>"))
        let other = Self.failure { try room.store.list(nil) }?.description
        #expect(other?.contains("elsewhere") == true)
        let entry = "<Contents><Key>p/q/a</Key><Size>1</Size></Contents>"
        room.fail(page(end + entry + entry))
        #expect(Self.failure { try room.store.list(nil) }?.description.contains("twice") == true)
        // One that was cut on its way is asked for again.
        room.fail(page(end + "<KeyCount>5</KeyCount>"), page("<Contents>"), page(""))
        #expect(try room.store.list(nil).objects.map(\.name.text) == ["a", "b", "c"])
    }

    /// A copy that is not what it should be must not cost the original.
    @Test func `nothing is quarantined whose copy is not the same`() throws {
        let room = Room()
        let name = try Self.name("packs/a")
        _ = try room.store.put(name, [1, 2, 3])
        // Read, copied, and read back as something else.
        room.service.state.withLockedValue { state in
            state.faults = [
                .garbled { $0 }, .garbled { $0 },
                .garbled { _ in S3Answer(status: 200, body: [9]) },
            ]
        }
        let said = Self.failure { try room.store.quarantine(name) }?.description
        #expect(said?.contains("stays where it is") == true)
        #expect(try room.store.get(name, nil) == [1, 2, 3])
    }
}
