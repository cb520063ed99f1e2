/// The server's side of the fixed newstyle handshake (proto.md, "Handshake"): bytes in, steps out.
package struct NBDHandshake: Sendable {
    package enum Security: Hashable, Sendable {
        /// The socket's file keeps strangers out; TLS is not spoken.
        case socketFile
        /// Nothing is told or done before TLS is up (FORCEDTLS).
        case forcedTLS
    }

    package enum Step: Hashable, Sendable {
        /// Nothing to do until more bytes come.
        case wait
        case send([UInt8])
        /// Send, then speak TLS; whatever comes next came through it.
        case startTLS([UInt8])
        /// Send, then serve requests, whose first bytes may be here already.
        case enter([UInt8], NBDSession, rest: [UInt8])
        /// Send, then close.
        case close([UInt8])
    }

    /// The longest data of one option. A name has at most 4,096 bytes by the protocol, and some
    /// queries or information requests may follow it.
    package static let optionByteCountMax = 16 << 10
    package static let allocationContext: UInt32 = 1
    static let allocationName = "base:allocation"
    static let preferredBlockByteCount: UInt64 = 4_096

    /// What the server says first: magics, and that it is fixed newstyle without padding.
    package static let greeting: [UInt8] = {
        var bytes = Array("NBDMAGIC".utf8)
        bytes.append(NBDOption.magic, bigEndian: 8)
        bytes.append(3, bigEndian: 2)
        return bytes
    }()

    private enum State {
        case flags
        case options(isSecure: Bool, omitsPadding: Bool)
        case over
    }

    private let security: Security
    private var state = State.flags
    private var buffer: [UInt8] = []
    private var hasStructuredReplies = false
    /// The export whose `base:allocation` the client selected.
    private var contextExport: NBDExport?

    package init(_ security: Security) { self.security = security }

    /// Takes what the client sent; `step` says what follows from it, until it says `.wait`.
    package mutating func take(_ bytes: some Sequence<UInt8>) { buffer.append(contentsOf: bytes) }

    package mutating func step(_ offer: NBDOffer) -> Step {
        switch state {
        case .over: return .wait
        case .flags: return flags(offer)
        case .options(let isSecure, let omitsPadding):
            let header = NBDOption.headerByteCount
            guard buffer.count >= header else { return .wait }
            let count = buffer.bigEndian(12, 4)
            guard buffer.bigEndian(0, 8) == NBDOption.magic, count <= Self.optionByteCountMax
            else { return close() }
            guard buffer.count >= header + Int(count) else { return .wait }
            let option = UInt32(buffer.bigEndian(8, 4))
            let data = buffer[header..<header + Int(count)]
            buffer.removeFirst(header + Int(count))
            guard isSecure || security == .socketFile else {
                return insecure(option, data, omitsPadding: omitsPadding)
            }
            return answer(option, data, offer, omitsPadding: omitsPadding)
        }
    }

    private mutating func flags(_ offer: NBDOffer) -> Step {
        guard buffer.count >= 4 else { return .wait }
        let flags = buffer.bigEndian(0, 4)
        buffer.removeFirst(4)
        let isFixed = flags & 1 != 0
        // A client that is not fixed newstyle could not be told that TLS is required.
        guard flags & ~3 == 0, isFixed || security == .socketFile else { return close() }
        state = .options(isSecure: false, omitsPadding: flags & 2 != 0)
        return step(offer)
    }

    private mutating func close(_ last: [UInt8] = []) -> Step {
        state = .over
        buffer = []
        return .close(last)
    }

    private mutating func insecure(
        _ option: UInt32, _ data: ArraySlice<UInt8>, omitsPadding: Bool
    ) -> Step {
        switch NBDOption(rawValue: option) {
        case .startTLS where data.isEmpty:
            // Bytes behind it came in the clear and would pass for the secure client's.
            guard buffer.isEmpty else { return close() }
            state = .options(isSecure: true, omitsPadding: omitsPadding)
            return .startTLS(NBDOptionReply.acknowledged.encoded(to: option))
        case .startTLS: return .send(NBDOptionReply.invalid.encoded(to: option))
        case .abort: return close(NBDOptionReply.acknowledged.encoded(to: option))
        // It has no error reply.
        case .exportName: return close()
        default: return .send(NBDOptionReply.needsTLS.encoded(to: option))
        }
    }

    private mutating func answer(
        _ option: UInt32, _ data: ArraySlice<UInt8>, _ offer: NBDOffer, omitsPadding: Bool
    ) -> Step {
        func send(_ reply: NBDOptionReply) -> Step { .send(reply.encoded(to: option)) }
        switch NBDOption(rawValue: option) {
        case nil: return send(.unsupported)
        case .abort: return close(NBDOptionReply.acknowledged.encoded(to: option))
        case .startTLS: return send(security == .socketFile ? .unsupported : .invalid)
        case .list: return data.isEmpty ? .send(list(offer)) : send(.invalid)
        case .structuredReply:
            guard data.isEmpty else { return send(.invalid) }
            hasStructuredReplies = true
            return send(.acknowledged)
        case .exportName:
            let name = String(decoding: data, as: UTF8.self)
            guard let export = offer.export(named: name) else { return close() }
            var bytes: [UInt8] = []
            bytes.append(export.byteCount, bigEndian: 8)
            bytes.append(UInt64(transmissionFlags(export)), bigEndian: 2)
            if !omitsPadding { bytes.append(contentsOf: repeatElement(0, count: 124)) }
            return enter(export, bytes)
        case .info, .go: return tell(option, data, offer)
        case .listMetaContext, .setMetaContext: return contexts(option, data, offer)
        }
    }

    private mutating func enter(_ export: NBDExport, _ last: [UInt8]) -> Step {
        defer { buffer = [] }
        state = .over
        let session = NBDSession(
            export: export, hasStructuredReplies: hasStructuredReplies,
            hasAllocationContext: contextExport == export)
        return .enter(last, session, rest: buffer)
    }

    private func list(_ offer: NBDOffer) -> [UInt8] {
        let option = NBDOption.list.rawValue
        var bytes: [UInt8] = []
        for export in offer.exports {
            var data: [UInt8] = []
            data.append(UInt64(export.name.utf8.count), bigEndian: 4)
            data.append(contentsOf: export.name.utf8)
            bytes += NBDOptionReply.server.encoded(to: option, data)
        }
        return bytes + NBDOptionReply.acknowledged.encoded(to: option)
    }

    /// INFO and GO differ only in what follows the acknowledgement.
    private mutating func tell(
        _ option: UInt32, _ data: ArraySlice<UInt8>, _ offer: NBDOffer
    ) -> Step {
        var reader = NBDOptionReader(data)
        // The requested kinds of information are read past: all there is, is told anyway.
        guard let name = reader.text(), let count = reader.number(2),
            (0..<count).allSatisfy({ _ in reader.number(2) != nil }), reader.isAtEnd
        else { return .send(NBDOptionReply.invalid.encoded(to: option)) }
        guard let export = offer.export(named: name) else {
            return .send(NBDOptionReply.unknownExport.encoded(to: option))
        }
        let bytes =
            NBDOptionReply.info.encoded(to: option, exportInfo(export))
            + NBDOptionReply.info.encoded(to: option, blockInfo)
            + NBDOptionReply.acknowledged.encoded(to: option)
        return option == NBDOption.go.rawValue ? enter(export, bytes) : .send(bytes)
    }

    /// NBD_INFO_EXPORT.
    private func exportInfo(_ export: NBDExport) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(0, bigEndian: 2)
        bytes.append(export.byteCount, bigEndian: 8)
        bytes.append(UInt64(transmissionFlags(export)), bigEndian: 2)
        return bytes
    }

    /// NBD_INFO_BLOCK_SIZE, told unasked: who keeps to it never meets an oversized request.
    private var blockInfo: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(3, bigEndian: 2)
        bytes.append(1, bigEndian: 4)
        bytes.append(Self.preferredBlockByteCount, bigEndian: 4)
        bytes.append(UInt64(NBDRequest.dataByteCountMax), bigEndian: 4)
        return bytes
    }

    /// HAS_FLAGS, SEND_FLUSH, CAN_MULTI_CONN; SEND_FUA, SEND_TRIM and SEND_WRITE_ZEROES, or READ_ONLY;
    /// and SEND_DF where replies are structured, since each is one chunk.
    private func transmissionFlags(_ export: NBDExport) -> UInt16 {
        let always: UInt16 = 1 << 0 | 1 << 2 | 1 << 8
        let changes: UInt16 = export.isReadOnly ? 1 << 1 : 1 << 3 | 1 << 5 | 1 << 6
        return always | changes | (hasStructuredReplies ? 1 << 7 : 0)
    }

    private mutating func contexts(
        _ option: UInt32, _ data: ArraySlice<UInt8>, _ offer: NBDOffer
    ) -> Step {
        let isSet = option == NBDOption.setMetaContext.rawValue
        // Whatever comes of it, an earlier selection is replaced.
        if isSet { contextExport = nil }
        guard hasStructuredReplies, let (name, queries) = Self.queries(data) else {
            return .send(NBDOptionReply.invalid.encoded(to: option))
        }
        guard let export = offer.export(named: name) else {
            return .send(NBDOptionReply.unknownExport.encoded(to: option))
        }
        let isFound =
            queries.contains(Self.allocationName)
            || !isSet && (queries.isEmpty || queries.contains("base:"))
        var bytes: [UInt8] = []
        if isFound {
            var context: [UInt8] = []
            context.append(UInt64(isSet ? Self.allocationContext : 0), bigEndian: 4)
            context.append(contentsOf: Self.allocationName.utf8)
            bytes = NBDOptionReply.metaContext.encoded(to: option, context)
            if isSet { contextExport = export }
        }
        return .send(bytes + NBDOptionReply.acknowledged.encoded(to: option))
    }

    private static func queries(_ data: ArraySlice<UInt8>) -> (name: String, queries: [String])? {
        var reader = NBDOptionReader(data)
        guard let name = reader.text(), let count = reader.number(4) else { return nil }
        var queries: [String] = []
        for _ in 0..<count {
            guard let query = reader.text() else { return nil }
            queries.append(query)
        }
        return reader.isAtEnd ? (name, queries) : nil
    }
}
