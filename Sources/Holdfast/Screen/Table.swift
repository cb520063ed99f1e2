/// Columns for a person: two spaces between them, numbers to the right.
struct Table: Hashable, Sendable {
    enum Side: Hashable, Sendable { case left, right }

    let columns: [(name: String, side: Side)]
    private(set) var rows: [(cells: [String], tone: Line.Tone)] = []

    init(_ columns: [(name: String, side: Side)]) { self.columns = columns }

    mutating func add(_ cells: [String], _ tone: Line.Tone = .plain) {
        rows.append((cells, tone))
    }

    func lines(width: Int = .max) -> [Line] {
        let head = columns.map(\.name)
        let widths = columns.indices.map { column in
            ([head] + rows.map(\.cells)).map { $0[column].count }.max() ?? 0
        }
        func line(_ cells: [String], _ tone: Line.Tone) -> Line {
            var text = ""
            for (column, cell) in cells.enumerated() {
                let space = String(repeating: " ", count: widths[column] - cell.count)
                text += column == 0 ? "" : "  "
                text += columns[column].side == .left ? cell + space : space + cell
            }
            while text.last == " " { text.removeLast() }
            return Line(text.clipped(to: width), tone)
        }
        return [line(head, .heading)] + rows.map { line($0.cells, $0.tone) }
    }

    static func == (a: Self, b: Self) -> Bool { a.lines() == b.lines() }
    func hash(into hasher: inout Hasher) { hasher.combine(lines()) }
}
