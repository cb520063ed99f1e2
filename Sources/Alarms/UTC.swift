/// Unix seconds as a person reads them, `2026-11-24 09:00 UTC`. A pure module has no calendar.
func utc(_ unixSeconds: UInt64) -> String {
    let (days, second) = (unixSeconds / 86_400, unixSeconds % 86_400)
    // Years begin in March here, so that the leap day ends one; 400 years have 146097 days.
    let shifted = days + 719_468
    let day = shifted % 146_097
    let yearOfEra = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365
    let dayOfYear = day - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
    let year = shifted / 146_097 * 400 + yearOfEra + (month >= 10 ? 1 : 0)
    func two(_ number: UInt64) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(year)-\(two(month < 10 ? month + 3 : month - 9))-\(two(dayOfMonth)) "
        + "\(two(second / 3_600)):\(two(second % 3_600 / 60)) UTC"
}
