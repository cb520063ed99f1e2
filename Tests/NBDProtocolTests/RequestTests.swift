import NBDProtocol
import Testing

@Suite("Requests and replies of an open export")
struct RequestTests {
    private func request(
        _ command: UInt16, flags: UInt16 = 0, at offset: UInt64 = 0, count: UInt32 = 512
    ) throws -> NBDRequest {
        try #require(
            NBDRequest(
                magic: 0x2560_9513, flags: flags, command: command, cookie: 0x0102_0304_0506_0708,
                offset: offset, byteCount: count))
    }

    private func refusal(_ request: NBDRequest, context: Bool = true) -> NBDError? {
        request.refusal(exportByteCount: 1_024, hasAllocationContext: context)
    }

    @Test func `past the end a change has no space, all else is invalid`() throws {
        for (command, error) in [
            (0, NBDError.invalid), (1, .noSpace), (4, .invalid), (6, .noSpace), (7, .invalid),
        ] {
            #expect(refusal(try request(UInt16(command), at: 512)) == nil)
            #expect(refusal(try request(UInt16(command), at: 513)) == error)
            #expect(refusal(try request(UInt16(command), at: .max)) == error)
        }
    }

    @Test func `unknown commands and flags, and empty or oversized requests, are invalid`() throws {
        #expect(refusal(try request(5)) == .invalid)
        #expect(refusal(try request(1, flags: 2)) == .invalid)
        #expect(refusal(try request(0, count: 0)) == .invalid)
        let oversized = try request(0, count: (32 << 20) + 1)
        #expect(
            oversized.refusal(exportByteCount: 1 << 40, hasAllocationContext: true) == .invalid)
        #expect(refusal(try request(7), context: false) == .invalid)
    }

    @Test func `what would change an export that is read-only is not permitted`() throws {
        let export = NBDExport(name: "disk1", byteCount: 1_024, isReadOnly: true)
        for (command, error) in [
            (0, nil), (1, NBDError.notPermitted), (2, nil), (3, nil), (4, .notPermitted),
            (5, .invalid), (6, .notPermitted), (7, nil),
        ] as [(UInt16, NBDError?)] {
            let request = try request(command)
            #expect(request.refusal(of: export, hasAllocationContext: true) == error)
        }
    }

    @Test func `a header with another magic is no request`() {
        #expect(
            NBDRequest(magic: 0x6744_6698, flags: 0, command: 0, cookie: 0, offset: 0, byteCount: 1)
                == nil)
    }

    @Test func `replies have the layout of the protocol's text`() {
        #expect(
            NBDReply.simple(to: 9, .io)
                == [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9])
        #expect(
            NBDReply.data(to: 9, at: 3, byteCount: 1) == [
                0x66, 0x8e, 0x33, 0xef, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 9,
                0, 0, 0, 0, 0, 0, 0, 3,
            ])
        #expect(
            NBDReply.extents(
                to: 9, context: 1, [NBDExtent(byteCount: 512, isHole: true, isZero: true)]) == [
                    0x66, 0x8e, 0x33, 0xef, 0, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 12,
                    0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 3,
                ])
        #expect(
            NBDReply.error(to: 9, .invalid) == [
                0x66, 0x8e, 0x33, 0xef, 0, 1, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 6,
                0, 0, 0, 22, 0, 0,
            ])
    }
}
