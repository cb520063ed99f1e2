import Mesh
import Pacing
import Testing

@Suite("How far work has come") struct ProgressMeterTests {
    private static let start = Instant(nanoseconds: 7_000_000_000)
    private static let mebibyte: UInt64 = 1 << 20

    /// Reads four times a second for so long, while `rate` bytes come in each.
    private func run(
        _ meter: inout ProgressMeter, from: Instant, seconds: UInt64, rate: UInt64
    ) -> ProgressMeter.Reading {
        var reading = meter.reading(at: from)
        for quarter in 1...seconds * 4 {
            let now = from + .milliseconds(250) * quarter
            meter.take(.advanced(rate / 4), at: now)
            reading = meter.reading(at: now)
        }
        return reading
    }

    @Test func `at a steady rate the time left is what is left by that rate`() {
        var meter = ProgressMeter("restoring", total: 100 * Self.mebibyte, at: Self.start)
        let reading = run(&meter, from: Self.start, seconds: 20, rate: 2 * Self.mebibyte)
        #expect(reading.done == 40 * Self.mebibyte && reading.percent == 40)
        #expect(reading.rate == 2 * Self.mebibyte)
        #expect(reading.left == .seconds(30))
    }

    @Test func `a rate is that of the last ten seconds and not of all the time`() {
        var meter = ProgressMeter("restoring", total: 1_000 * Self.mebibyte, at: Self.start)
        _ = run(&meter, from: Self.start, seconds: 300, rate: 2 * Self.mebibyte)
        let later = Self.start + .seconds(300)
        let half = run(&meter, from: later, seconds: 5, rate: 4 * Self.mebibyte)
        #expect(half.rate == 3 * Self.mebibyte)
        let reading = run(
            &meter, from: later + .seconds(5), seconds: 6, rate: 4 * Self.mebibyte)
        #expect(reading.rate == 4 * Self.mebibyte)
    }

    @Test func `nothing is said of the time left while it is not known`() {
        var early = ProgressMeter("restoring", total: 100 * Self.mebibyte, at: Self.start)
        #expect(run(&early, from: Self.start, seconds: 1, rate: Self.mebibyte).left == nil)
        var endless = ProgressMeter("replaying", at: Self.start)
        let reading = run(&endless, from: Self.start, seconds: 20, rate: Self.mebibyte)
        #expect(reading.left == nil && reading.percent == nil && reading.rate == Self.mebibyte)
    }

    @Test func `work that stands still has no time left and says for how long`() {
        var meter = ProgressMeter("restoring", total: 100 * Self.mebibyte, at: Self.start)
        _ = run(&meter, from: Self.start, seconds: 20, rate: Self.mebibyte)
        let stops = Self.start + .seconds(20)
        let soon = run(&meter, from: stops, seconds: 5, rate: 0)
        #expect(soon.rate == Self.mebibyte / 2 && !soon.isStalled)
        let late = run(&meter, from: stops + .seconds(5), seconds: 25, rate: 0)
        #expect(late.rate == 0 && late.left == nil && late.isStalled)
        #expect(late.idle == .seconds(30))
    }

    /// Nobody asked meanwhile, as of a process that was stopped.
    @Test func `a rate is right behind a time in which nobody looked`() {
        var meter = ProgressMeter("restoring", total: 100 * Self.mebibyte, at: Self.start)
        _ = run(&meter, from: Self.start, seconds: 10, rate: Self.mebibyte)
        let later = Self.start + .seconds(70)
        meter.take(.advanced(30 * Self.mebibyte), at: later)
        #expect(meter.reading(at: later).rate == Self.mebibyte / 2)
    }

    @Test func `a hundred per cent is told only where nothing is left`() {
        var meter = ProgressMeter("restoring", total: 1_000, at: Self.start)
        meter.reach(999)
        #expect(meter.reading(at: Self.start).percent == 99)
        meter.reach(1_001)
        let over = meter.reading(at: Self.start)
        #expect(over.percent == 100 && over.left == .zero)
    }

    @Test func `another phase begins at nothing`() {
        var meter = ProgressMeter("scrubbing", total: 1_000, at: Self.start)
        _ = run(&meter, from: Self.start, seconds: 4, rate: 1_000)
        let later = Self.start + .seconds(4)
        meter.take(.began("mending", in: .objects, total: 3), at: later)
        let reading = meter.reading(at: later + .seconds(1))
        #expect(reading.phase == "mending" && reading.unit == .objects)
        #expect(reading.done == 0 && reading.total == 3 && reading.rate == nil)
    }

    /// An agent that was started again begins anew.
    @Test func `what was lost is no rate`() {
        var meter = ProgressMeter("volumes", total: 1_000_000, at: Self.start)
        meter.reach(500_000)
        _ = meter.reading(at: Self.start + .seconds(1))
        meter.reach(100)
        let reading = meter.reading(at: Self.start + .seconds(12))
        #expect(reading.rate == 0 && reading.left == nil)
    }
}
