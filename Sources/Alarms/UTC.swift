internal import Mesh

/// Unix seconds as a person reads them, `2026-11-24 09:00 UTC`.
func utc(_ unixSeconds: UInt64) -> String {
    let (days, second) = (unixSeconds / 86_400, unixSeconds % 86_400)
    let date = CivilDay(since1970: Int(days))
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(date.year)-\(two(date.month))-\(two(date.day)) "
        + "\(two(Int(second / 3_600))):\(two(Int(second % 3_600 / 60))) UTC"
}
