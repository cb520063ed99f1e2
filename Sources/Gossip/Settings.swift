package import Mesh

extension Gossip {
    /// How often, how long, how many. The defaults are for a LAN.
    package struct Settings: Hashable, Sendable {
        /// SWIM §3.1's protocol period T'.
        package var probeInterval = Interval.milliseconds(200)
        /// How long a direct answer may take before helpers are asked (SWIM §3.1).
        package var probeTimeout = Interval.milliseconds(100)
        /// How many helpers are asked in a mesh too large to ask everybody (SWIM's k).
        package var helpers = 3
        /// Lifeguard §IV.B's α: the shortest suspicion, in periods per decade of members.
        package var suspicionAlpha: UInt64 = 2
        /// Lifeguard §IV.B's β: the longest suspicion is β times the shortest.
        package var suspicionBeta: UInt64 = 4
        /// SWIM §4.1's λ: news is passed on λ·log n times.
        package var lambda = 3
        /// Anti-entropy with one random member; stretched by log n in large meshes.
        package var syncInterval = Interval.seconds(2)
        /// One dead member is told so this often, or a healed cut would stay a cut.
        package var reconnectInterval = Interval.seconds(1)
        /// How often the own row of the reachability matrix is published.
        package var rowInterval = Interval.seconds(1)
        /// This many deaths are free; each further one doubles the wait before a return is reported.
        package var deathsFree = 3
        package var holdBase = Interval.seconds(1)
        package var deathsHalfLife = Interval.seconds(30)
        /// For measurement alone: without it a node's own trouble stretches nothing (Lifeguard §IV.A).
        /// What a shrinking suspicion is worth shows with β = 1.
        package var mindsOwnHealth = true
        /// For measurement alone: without it a suspect hears of it as of other news (Lifeguard §IV.C).
        package var tellsSuspectsFirst = true

        package init() {}

        /// Regions a hundred milliseconds apart.
        package static var wide: Settings {
            var settings = Settings()
            settings.probeInterval = .seconds(1)
            settings.probeTimeout = .milliseconds(400)
            settings.syncInterval = .seconds(10)
            settings.reconnectInterval = .seconds(5)
            settings.rowInterval = .seconds(5)
            return settings
        }

        /// A period must have room for the direct and the indirect attempt, or every probe fails.
        package var areLawful: Bool {
            probeTimeout > .zero && probeTimeout * 2 <= probeInterval && helpers > 0
                && suspicionAlpha > 0 && suspicionBeta > 0 && lambda > 0 && syncInterval > .zero
                && reconnectInterval > .zero && rowInterval > .zero && deathsFree >= 0
                && deathsHalfLife > .zero
        }

        /// The shortest and the longest suspicion among `members` (Lifeguard §IV.B; log10 is taken
        /// from the bit length, because a pure module has no logarithm).
        package func suspicion(members: Int) -> (floor: Interval, ceiling: Interval) {
            let scale = max(1_000, 301 * UInt64(ceilLog2(members)))
            let floor = probeInterval * (suspicionAlpha * scale) / 1_000
            return (floor, floor * suspicionBeta)
        }

        /// Lifeguard §IV.B: max − (max − min)·log(C + 1)/log(K + 1), where K adapts to who can
        /// confirm. memberlist sets K to 0 in small meshes and then takes the *shortest* timeout
        /// on one word; here, when nobody is left to confirm, the longest applies.
        package func suspicion(members: Int, confirmations: Int, confirmers: Int) -> Interval {
            let (floor, ceiling) = suspicion(members: members)
            let needed = min(Limit.confirmationsMax, confirmers)
            guard needed > 0 else { return ceiling }
            guard confirmations < needed else { return floor }
            let permille = Self.decay[needed - 1][max(0, confirmations)]
            return ceiling - (ceiling - floor) * permille / 1_000
        }

        /// 1000·log(C + 1)/log(K + 1) for K = 1, 2, 3.
        private static let decay: [[UInt64]] = [[0], [0, 631], [0, 500, 792]]

        /// SWIM §4.1: λ·log n.
        package func transmissionsMax(members: Int) -> Int {
            lambda * max(1, ceilLog2(members + 1))
        }

        package func syncInterval(members: Int) -> Interval {
            syncInterval * UInt64(1 + ceilLog2(Self.share(members)))
        }

        /// The whole mesh publishes rows at a constant rate, or a thousand members would drown it.
        package func rowInterval(members: Int) -> Interval {
            rowInterval * UInt64(Self.share(members))
        }

        private static func share(_ members: Int) -> Int {
            max(1, (members + Limit.smallMesh - 1) / Limit.smallMesh)
        }
    }

    /// The bounds of everything that could grow.
    package enum Limit {
        /// Up to here every other member helps, hears a verdict at once and is probed within two
        /// periods.
        package static let smallMesh = 7
        /// Lifeguard §IV.B's K.
        package static let confirmationsMax = 3
        package static let accusersMax = confirmationsMax + 1
        /// Lifeguard §IV.A's S.
        package static let scoreMax = 8
        package static let registerBytesMax = 1_024
        package static let heardMax = 64
        package static let piggybackBytesMax = 4_096
        package static let messageBytesMax = 65_536
        package static let claimsMax = 512
        package static let registersMax = 512
        package static let rowsMax = 512
        package static let rosterMax = 16_384
        /// Probes made for others at one time; beyond that a helper declines.
        package static let relaysMax = 64
        /// An answer to one of so many last probes counts, however late.
        package static let lateAnswersMax: UInt64 = 64
        /// A late node forgives its own lateness this often in a row, then times count again.
        package static let latenessForgivenMax = 3
        /// The hold on a flapping member doubles at most this often.
        package static let holdDoublingsMax = 6
        /// A foreign start under the own name is outbid this often, then it is a clone.
        package static let outbidsMax = 3
        /// Above this no incarnation is believed: there must always be room to refute.
        package static let incarnationMax = Incarnation(1 << 62)
    }
}

/// The smallest b with 2^b ≥ n; 0 for n ≤ 1.
func ceilLog2(_ n: Int) -> Int {
    n <= 1 ? 0 : Int.bitWidth - (n - 1).leadingZeroBitCount
}
