/// A day as people name it, in the proleptic Gregorian calendar and UTC: no clock of a place, so no hour that comes twice.
package struct CivilDay: Hashable, Sendable {
    package let year: Int
    package let month: Int
    package let day: Int

    /// The day that begins so many days after 1970-01-01.
    package init(since1970: Int) {
        // Years that begin in March: the leap day is the last one. 400 of them have 146,097 days.
        let shifted = since1970 + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * ofYear + 2) / 153
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        day = ofYear - (153 * shiftedMonth + 2) / 5 + 1
    }
}
