import Admin
import Alarms
import Mesh
import Testing

@Suite("Alarms of the log's shipping and of old keys")
struct ShippingAlarmTests {
    private func shipping(
        behind: UInt64?, failure: String? = nil, failingFor seconds: UInt64? = nil
    ) -> [Alarm] {
        Calm.alarms { sight in
            sight.shipping = Sight.Shipping(
                behind: behind, failure: failure, failingSince: seconds.map { Calm.now - $0 },
                lateAfter: 30)
        }
    }

    @Test func `a write that is missing for as long as is set is told, and none before`() {
        #expect(shipping(behind: 29, failure: "no room left", failingFor: 4_000) == [])
        let late = shipping(behind: 30)
        #expect(late.map(\.code) == ["log-shipping-late"])
        #expect(late.map(\.severity) == [.warning])
        #expect(late.first?.since == Calm.now - 30)
        #expect(late.first?.text.contains("is shipped late") == true)
        #expect(
            shipping(behind: 31, failure: "no room left", failingFor: 3).first?.text.contains(
                ": no room left;") == true)
    }

    @Test func `where nobody knows what is missing, it counts since when it fails`() {
        #expect(shipping(behind: nil) == [], "a look that failed once says nothing")
        #expect(shipping(behind: nil, failure: "away", failingFor: 29) == [])
        let failing = shipping(behind: nil, failure: "away", failingFor: 30)
        #expect(failing.map(\.code) == ["log-shipping-late"])
        #expect(failing.first?.text.contains("has not been shipped") == true)
    }

    @Test func `a key that could not be rotated is told, with how old it is and why`() {
        let alarms = Calm.alarms { sight in
            sight.rotation = Sight.Rotation(since: 1_795_768_200, failure: "a key is not here")
        }
        #expect(alarms.map(\.code) == ["key-not-rotated"])
        for words in ["2026-11-27 08:30 UTC", "a key is not here"] {
            #expect(alarms.first?.text.contains(words) == true, "\(words)")
        }
    }

    @Test func `locks that run out are told, with since when and why`() {
        let alarms = Calm.alarms { sight in
            sight.locks = Sight.Locks(failingSince: Calm.now - 60, failure: "not allowed")
        }
        #expect(alarms.map(\.code) == ["locks-not-extended"])
        #expect(alarms.first?.since == Calm.now - 60)
        #expect(alarms.first?.text.contains("not allowed") == true)
    }

    @Test func `what rots in the repository is told, with what and where`() {
        let bad = [
            "t/packs/aa/1 in /mnt/a: it is missing", "t/packs/aa/2 in /mnt/a: it is missing",
        ]
        for count in 1...2 {
            let alarms = Calm.alarms { sight in
                sight.scrub = Sight.Scrub(
                    bad: Array(bad.prefix(count)), failingSince: nil, failure: nil)
            }
            #expect(alarms.map(\.code) == ["repository-damaged"])
            #expect(alarms.first?.severity == .critical)
            #expect(alarms.first?.text.contains(bad[0]) == true)
            #expect(alarms.first?.text.hasPrefix("\(count) object") == true)
        }
    }

    @Test func `snapshots that ended are named with the reason, and no more than a few`() {
        func alarm(_ count: Int) -> Alarm? {
            Calm.alarms { sight in
                sight.snapshots = (0..<count).map {
                    Sight.Snapshot(name: "s\($0)", why: "the room was full")
                }
            }.first
        }
        #expect(alarm(0) == nil)
        #expect(alarm(1)?.code == "snapshot-lost" && alarm(1)?.severity == .warning)
        #expect(alarm(1)?.text.hasSuffix("s0 (the room was full)") == true)
        #expect(alarm(7)?.text.hasSuffix("s3 (the room was full), and 3 more") == true)
    }

    @Test func `a pass that does not come to its end is told, with what to do`() {
        let alarms = Calm.alarms { sight in
            sight.scrub = Sight.Scrub(
                bad: [], failingSince: nil, failure: nil, lateSince: Calm.now - 90)
        }
        #expect(alarms.map(\.code) == ["scrub-failing"])
        #expect(alarms.first?.remedy.contains("scrubRate") == true)
    }

    @Test func `a repository that can't be read over is told after a day, and not before`() {
        func alarms(_ seconds: UInt64) -> [Alarm] {
            Calm.alarms { sight in
                sight.scrub = Sight.Scrub(
                    bad: [], failingSince: Calm.now - seconds, failure: "no such bucket")
            }
        }
        #expect(alarms(86_399) == [])
        #expect(alarms(86_400).map(\.code) == ["scrub-failing"])
        #expect(alarms(86_400).first?.text.contains("no such bucket") == true)
        #expect(alarms(86_400).first?.since == Calm.now - 86_400)
    }
}
