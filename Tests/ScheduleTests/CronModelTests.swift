import Mesh
import Schedule
import Testing

/// The five fields as sets, and every minute asked one after the other: too slow to be used, too simple to be wrong.
private struct SlowCron {
    var text: [String] = []
    private var sets: [Set<Int>] = []
    private var areOpen: [Bool] = []

    private static let ranges = [0...59, 0...23, 1...31, 1...12, 0...7]

    init(_ random: inout SeededRandom) {
        for range in Self.ranges {
            var (words, values): ([String], Set<Int>) = ([], [])
            let isDense = random.next() % 3 == 0
            for _ in 0...(random.next() % 3) {
                let (word, some) = Self.part(range, isDense, &random)
                words.append(word)
                values.formUnion(some)
            }
            text.append(words.joined(separator: ","))
            sets.append(values)
            areOpen.append(words[0].hasPrefix("*"))
        }
    }

    private static func part(
        _ range: ClosedRange<Int>, _ isDense: Bool, _ random: inout SeededRandom
    ) -> (String, [Int]) {
        func draw(_ range: ClosedRange<Int>) -> Int {
            range.lowerBound + Int(random.next() % UInt64(range.count))
        }
        if isDense { return ("*", Array(range)) }
        let (low, step) = (draw(range), draw(1...9))
        switch random.next() % 4 {
        case 0:
            return (
                "*/\(step)",
                Array(stride(from: range.lowerBound, through: range.upperBound, by: step))
            )
        case 1:
            let high = draw(low...range.upperBound)
            return ("\(low)-\(high)", Array(low...high))
        case 2:
            let high = draw(low...range.upperBound)
            return ("\(low)-\(high)/\(step)", Array(stride(from: low, through: high, by: step)))
        default: return ("\(low)", [low])
        }
    }

    /// By a calendar that goes on from day to day.
    func takes(_ day: Walk, _ minuteOfDay: Int) -> Bool {
        guard sets[0].contains(minuteOfDay % 60), sets[1].contains(minuteOfDay / 60) else {
            return false
        }
        return takes(day)
    }

    func takes(_ day: Walk) -> Bool {
        guard sets[3].contains(day.month) else { return false }
        let isDay = sets[2].contains(day.day)
        let isWeekday =
            sets[4].contains(day.weekday) || (day.weekday == 0 && sets[4].contains(7))
        return areOpen[2] || areOpen[4] ? isDay && isWeekday : isDay || isWeekday
    }
}

private struct Walk {
    var (year, month, day, weekday) = (1970, 1, 1, 4)
    var count = 0

    mutating func step() {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        (day, weekday, count) = (day + 1, (weekday + 1) % 7, count + 1)
        guard day > lengths[month - 1] else { return }
        (day, month) = (1, month + 1)
        if month > 12 { (month, year) = (1, year + 1) }
    }
}

@Suite("Schedules against a model that asks each minute")
struct CronModelTests {
    /// Leap days, month ends and ends of years lie within.
    private static let days: [Walk] = {
        var (walk, all): (Walk, [Walk]) = (Walk(), [])
        while walk.year < 2105 {
            all.append(walk)
            walk.step()
        }
        return all
    }()

    @Test(arguments: 1...150 as ClosedRange<UInt64>)
    func `next and last are what the model finds`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let model = SlowCron(&random)
        let text = model.text.joined(separator: " ")
        let cron: Cron
        do throws(CronRefused) { cron = try Cron(parsing: text) } catch {
            #expect(error == .never)
            #expect(!Self.days.contains { model.takes($0) }, "\(text)")
            return
        }
        for _ in 0..<4 {
            // Some begin where months and centuries end.
            let start = random.next() % 4 == 0 ? 46_000 : Int(random.next() % 47_000)
            let from = start * 1_440 + Int(random.next() % 1_440)
            let next = Self.first(model, behind: from)
            #expect(cron.next(after: wall(from)) == next.map { wall($0) }, "\(text) from \(from)")
            guard let next, let slot = cron.next(after: wall(from)) else { continue }
            #expect(cron.last(upTo: wall(next)) == slot, "\(text) up to \(next)")
            let before = cron.last(upTo: wall(next - 1))
            #expect(before.map { $0 <= wall(from) } ?? true, "\(text) up to \(next - 1)")
            if let before { #expect(cron.next(after: before) == slot, "\(text) from \(before)") }
        }
    }

    private static func first(_ model: SlowCron, behind from: Int) -> Int? {
        let first = (from + 1) / 1_440
        for day in days[first...] where model.takes(day) {
            let begin = day.count == first ? (from + 1) % 1_440 : 0
            if let minute = (begin..<1_440).first(where: { model.takes(day, $0) }) {
                return day.count * 1_440 + minute
            }
        }
        return nil
    }
}
