internal import Mesh

/// A journal's directory as an input tells it. Its files are long and mostly zero, so of each the
/// input tells the length, and the pieces that are not.
///
/// tag u8 (kind in the high half, number in the low one) · length u16 · count of pieces u8; then of
/// each piece its offset u16, length u8 and bytes.
struct JournalFiles {
    enum Kind: UInt8, CaseIterable {
        case segment = 1
        case index = 2
        case base = 3
        case spare = 4
        case unfinished = 5

        func name(_ number: UInt64) -> String {
            let digits = Hexadecimal.text(number)
            return switch self {
            case .segment: "segment-" + digits
            case .index: "index-" + digits
            case .base: "base-" + digits
            case .spare: "spare-" + digits
            case .unfinished: "segment-" + digits + ".new"
            }
        }
    }

    struct File {
        let kind: Kind
        /// 15 stands for the largest there is.
        let number: UInt64
        var bytes: [UInt8]

        var name: String { kind.name(number == 15 ? .max : number) }
    }

    static let filesMax = 12

    var files: [File] = []

    var named: [(name: String, bytes: [UInt8])] { files.map { ($0.name, $0.bytes) } }

    init() {}

    init(_ input: inout Input) {
        while !input.isAtEnd, files.count < Self.filesMax {
            let tag = input.byte()
            guard let kind = Kind(rawValue: tag >> 4) else { return }
            var bytes = [UInt8](repeating: 0, count: input.word())
            for _ in 0..<input.byte() {
                let (offset, piece) = (input.word(), input.take(Int(input.byte())))
                guard offset + piece.count <= bytes.count else { continue }
                bytes.replaceSubrange(offset..<offset + piece.count, with: piece)
            }
            files.append(File(kind: kind, number: UInt64(tag & 15), bytes: bytes))
        }
    }

    /// The input that tells these files.
    func encoded(mode: UInt8) -> [UInt8] {
        var input = [mode]
        for file in files {
            input.append(file.kind.rawValue << 4 | UInt8(file.number))
            input.append(littleEndian: UInt16(file.bytes.count))
            let pieces = Self.pieces(file.bytes)
            input.append(UInt8(pieces.count))
            for piece in pieces {
                input.append(littleEndian: UInt16(piece.lowerBound))
                input.append(UInt8(piece.count))
                input += file.bytes[piece]
            }
        }
        return input
    }

    /// What is not zero, joined where fewer zeros lie between than a new piece costs.
    private static func pieces(_ bytes: [UInt8]) -> [Range<Int>] {
        var pieces: [Range<Int>] = []
        for at in bytes.indices where bytes[at] != 0 {
            if let last = pieces.last, at - last.upperBound < 4, at - last.lowerBound < 255 {
                pieces[pieces.count - 1] = last.lowerBound..<at + 1
            } else {
                pieces.append(at..<at + 1)
            }
        }
        return pieces
    }
}
