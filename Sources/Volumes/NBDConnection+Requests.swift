internal import Logging
internal import NBDProtocol
internal import NIOCore
internal import Synchronization
internal import VolumeCore

extension NBDConnection {
    /// Takes requests out of `input` until it is used up or too much is in flight.
    func parse() {
        while case .serving(let served) = phase {
            let goesOn =
                switch reading {
                case .header: readHeader(served)
                case .data: readData(served)
                case .discarding: discard()
                }
            guard goesOn else { return }
        }
    }

    /// False when more bytes or more room are needed first, or the connection ends.
    private func readHeader(_ served: Served) -> Bool {
        var ahead = input
        guard
            let (magic, flags, command, cookie, offset, count) = ahead.readMultipleIntegers(
                as: (UInt32, UInt16, UInt16, UInt64, UInt64, UInt32).self)
        else { return false }
        guard
            let request = NBDRequest(
                magic: magic, flags: flags, command: command, cookie: cookie, offset: offset,
                byteCount: count)
        else {
            server.logger.notice(
                "NBD client hung up on: no request begins where one must",
                metadata: ["volume": "\(served.session.export.name)"])
            context?.close(promise: nil)
            return false
        }
        let refusal = request.refusal(
            of: served.session.export,
            hasAllocationContext: served.session.hasAllocationContext)
        let pending = Pending(request: request, cost: refusal == nil ? request.dataByteCount : 0)
        guard hasRoom(for: pending.cost) else {
            block()
            return false
        }
        input.moveReaderIndex(forwardBy: NBDRequest.headerByteCount)
        if request.command == .disconnect, refusal == nil {
            leave(within: nil)
            return false
        }
        requestCount += 1
        hold(pending.cost)
        if let refusal { return refuse(pending, refusal) }
        begin(pending, served)
        return true
    }

    private func hasRoom(for cost: Int) -> Bool {
        guard requestCount < server.limits.requestsInFlightMax else { return false }
        guard byteCount > 0, cost > 0 else { return true }
        let total = server.bytesInFlight.load(ordering: .relaxed)
        return byteCount + cost <= server.limits.bytesInFlightMax
            && total + cost <= server.limits.bytesInFlightTotalMax
    }

    private func refuse(_ pending: Pending, _ error: NBDError) -> Bool {
        guard pending.request.carriesData else {
            answers.append((pending, .error(error)))
            return true
        }
        guard pending.request.byteCount <= server.limits.discardByteCountMax else {
            answers.append((pending, .error(error)))
            leave(within: server.limits.closingDeadline)
            return false
        }
        reading = .discarding(pending, left: Int(pending.request.byteCount), error)
        return true
    }

    func begin(_ pending: Pending, _ served: Served) {
        let request = pending.request
        let isDurable = request.flags.contains(.forceUnitAccess)
        switch request.command {
        case .write:
            var bytes: [UInt8] = []
            bytes.reserveCapacity(Int(request.byteCount))
            reading = .data(pending, bytes)
        case .read:
            ask(pending, served, .read(offset: request.offset, byteCount: Int(request.byteCount)))
        case .flush: ask(pending, served, .flush)
        case .trim:
            ask(
                pending, served,
                .trim(
                    offset: request.offset, byteCount: request.byteCount, isDurable: isDurable))
        case .writeZeroes:
            ask(
                pending, served,
                .zeroes(
                    offset: request.offset, byteCount: request.byteCount,
                    keepsAllocated: request.flags.contains(.noHole), isDurable: isDurable))
        case .blockStatus:
            let countMax = request.flags.contains(.one) ? 1 : server.limits.extentsMax
            ask(
                pending, served,
                .extents(
                    offset: request.offset, byteCount: UInt64(request.byteCount),
                    countMax: countMax))
        // Refused or handled before.
        case .disconnect, nil: answers.append((pending, .error(.invalid)))
        }
    }

    private func ask(_ pending: Pending, _ served: Served, _ request: VolumeRequest) {
        lastNumber += 1
        inFlight[lastNumber] = pending
        events.append(
            .request(RequestID(id, lastNumber), served.volume, served.generation, request))
    }

    private func readData(_ served: Served) -> Bool {
        guard case .data(let pending, var bytes) = reading else { return false }
        // Held nowhere else while it grows, or each piece would copy all before it.
        reading = .header
        let request = pending.request
        let count = min(Int(request.byteCount) - bytes.count, input.readableBytes)
        bytes.append(contentsOf: input.readableBytesView.prefix(count))
        input.moveReaderIndex(forwardBy: count)
        guard bytes.count == Int(request.byteCount) else {
            reading = .data(pending, bytes)
            return false
        }
        ask(
            pending, served,
            .write(
                offset: request.offset, bytes,
                isDurable: request.flags.contains(.forceUnitAccess)))
        return true
    }

    private func discard() -> Bool {
        guard case .discarding(let pending, let left, let error) = reading else { return false }
        let count = min(left, input.readableBytes)
        input.moveReaderIndex(forwardBy: count)
        guard count == left else {
            reading = .discarding(pending, left: left - count, error)
            return false
        }
        reading = .header
        answers.append((pending, .error(error)))
        return true
    }
}

extension NBDRequest {
    /// What it brings, or what its answer will.
    fileprivate var dataByteCount: Int {
        switch command {
        case .read, .write: Int(byteCount)
        default: 0
        }
    }
}
