package import Gossip
package import Mesh

/// A whole mesh in one thread: virtual time, a network that delays, drops and cuts, disks that take
/// their time. The same seed tells the same story; with a thousand members it is the benchmark.
package struct VirtualMesh: Sendable {
    package struct Verdict: Hashable, Sendable {
        package let at: Instant
        package let by: NodeID
        package let on: NodeID
        package let liveness: Gossip.Liveness
    }

    package struct Cut: Hashable, Sendable {
        package let from: NodeID
        package let to: NodeID
        package init(from: NodeID, to: NodeID) {
            self.from = from
            self.to = to
        }
    }

    package var delay = Interval.microseconds(200)...Interval.milliseconds(2)
    package var lossPermille: UInt64 = 0
    package var persistTime = Interval.milliseconds(3)
    package var cuts: Set<Cut> = []
    package private(set) var now = Instant.zero + .seconds(1_000)
    package private(set) var nodes: [Gossip?]
    package private(set) var verdicts: [Verdict] = []
    package private(set) var effectsOfNote: [(node: NodeID, effect: Gossip.Effect)] = []
    package private(set) var messagesSent: [Int]
    package private(set) var events = 0
    package private(set) var persisted: [Incarnation]
    package let settings: Gossip.Settings

    private let roster: [Gossip.Peer]
    private var random: SeededRandom
    private var boots: UInt64 = 1
    private var lives: [Int]
    private var pausedUntil: [Instant]
    private var backlog: [[Gossip.Event]]
    private var queue = EventQueue()
    /// The earliest wake that is in the queue; without it every message would add one.
    private var wakeAt: [Instant]

    package init(members: Int, seed: UInt64, settings: Gossip.Settings = .init()) {
        invariant(members > 0 && members <= Gossip.Limit.rosterMax, "the mesh is bounded")
        let region = RegionName("r")
        roster = (1...UInt64(members)).compactMap { id in
            region.map { Gossip.Peer(node: NodeID(id), region: $0, role: .data) }
        }
        random = SeededRandom(seed: seed)
        self.settings = settings
        nodes = Array(repeating: nil, count: members)
        messagesSent = Array(repeating: 0, count: members)
        persisted = Array(repeating: .zero, count: members)
        lives = Array(repeating: 0, count: members)
        pausedUntil = Array(repeating: .zero, count: members)
        backlog = Array(repeating: [], count: members)
        wakeAt = Array(repeating: .distantFuture, count: members)
        for peer in roster { start(peer.node) }
    }

    package subscript(_ id: UInt64) -> Gossip? { nodes[Int(id) - 1] }

    /// Starts or restarts a member; `forgets` is a disk that lost its counter.
    package mutating func start(_ node: NodeID, forgets: Bool = false) {
        let i = place(node)
        persisted[i] = forgets ? Incarnation(1) : persisted[i].next
        boots += 1
        lives[i] += 1
        backlog[i] = []
        wakeAt[i] = .distantFuture
        nodes[i] = Gossip(
            self: roster[i], roster: roster, settings: settings, boot: BootID(boots),
            incarnation: persisted[i], random: random.fork(), at: now)
        wake(i)
    }

    package mutating func crash(_ node: NodeID) {
        nodes[place(node)] = nil
        lives[place(node)] += 1
    }

    /// The member gets no processor until then; what reaches it waits in its queue.
    package mutating func pause(_ node: NodeID, for length: Interval) {
        pausedUntil[place(node)] = now + length
        queue.push(now + length, .resume(place(node), life: lives[place(node)]))
    }

    package mutating func isolate(_ node: NodeID) {
        for peer in roster where peer.node != node {
            cuts.insert(Cut(from: node, to: peer.node))
            cuts.insert(Cut(from: peer.node, to: node))
        }
    }

    package mutating func give(_ event: Gossip.Event, to node: NodeID) {
        turn(place(node), event)
    }

    package mutating func run(for length: Interval) {
        let end = now + length
        while let next = queue.first, next <= end, let (at, item) = queue.pop() {
            now = at
            events += 1
            carryOut(item)
        }
        now = end
    }

    /// True when every running member reports every running one alive, every other dead or left.
    package var isSettled: Bool {
        for case let node? in nodes {
            for peer in roster where peer.node != node.own.node {
                let alive = node.liveness(of: peer.node) == .alive
                if alive != (nodes[place(peer.node)]?.hasLeft == false) { return false }
            }
        }
        return true
    }

    private func place(_ node: NodeID) -> Int { Int(node.rawValue) - 1 }

    private mutating func carryOut(_ item: EventQueue.Item) {
        switch item {
        case .deliver(let from, let to, let bytes):
            guard nodes[to] != nil, let message = try? GossipCodec.decode(bytes) else { return }
            turn(to, .received(message, from: NodeID(UInt64(from) + 1)))
        case .wake(let i, let life):
            guard life == lives[i], wakeAt[i] == now, let node = nodes[i] else { return }
            wakeAt[i] = .distantFuture
            if node.deadline <= now { turn(i, .deadlineReached) } else { wake(i) }
        case .saved(let i, let life, let persist):
            guard life == lives[i] else { return }
            persisted[i] = max(persisted[i], persist.incarnation)
            for letter in persist.releases { post(letter.message, from: i, to: letter.to) }
            turn(i, .persisted(persist.incarnation))
        case .resume(let i, let life):
            guard life == lives[i], now >= pausedUntil[i] else { return }
            let waiting = backlog[i]
            backlog[i] = []
            turn(i, .deadlineReached)
            for event in waiting { turn(i, event) }
        }
    }

    private mutating func turn(_ i: Int, _ event: Gossip.Event) {
        guard now >= pausedUntil[i] else {
            if event != .deadlineReached { backlog[i].append(event) }
            return
        }
        var effects: [Gossip.Effect] = []
        nodes[i]?.handle(event, at: now, &effects)
        for effect in effects { apply(effect, of: i) }
        wake(i)
    }

    private mutating func apply(_ effect: Gossip.Effect, of i: Int) {
        let node = roster[i].node
        switch effect {
        case .send(let message, let to): post(message, from: i, to: to)
        case .persist(let persist):
            queue.push(now + persistTime, .saved(i, life: lives[i], persist))
        case .became(let other, let liveness):
            verdicts.append(Verdict(at: now, by: node, on: other, liveness: liveness))
        case .restarted, .conflict: effectsOfNote.append((node, effect))
        case .registersChanged: break
        }
    }

    private mutating func post(_ message: Gossip.Message, from i: Int, to: NodeID) {
        messagesSent[i] += 1
        let isLost = random.chance(lossPermille, in: 1_000)
        let after = random.interval(in: delay)
        if isLost || cuts.contains(Cut(from: roster[i].node, to: to)) { return }
        queue.push(
            now + after, .deliver(from: i, to: place(to), GossipCodec.encode(message)))
    }

    private mutating func wake(_ i: Int) {
        guard let node = nodes[i], node.deadline != .distantFuture else { return }
        let at = max(max(now, node.deadline), pausedUntil[i])
        guard at < wakeAt[i] else { return }
        wakeAt[i] = at
        queue.push(at, .wake(i, life: lives[i]))
    }
}
