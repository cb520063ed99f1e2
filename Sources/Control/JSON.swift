internal import FoundationEssentials

/// JSON as it goes over the socket.
enum JSON {
    /// The types of Admin hold numbers, text, lists and maps of them, and no floating-point value
    /// that JSON lacks unless a door invents one: then the answer is a problem, not a crash.
    static func encoded(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return (try? encoder.encode(value)).map { Array($0) } ?? []
    }

    static func decoded<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8]
    ) throws(Unreadable) -> Value {
        do { return try JSONDecoder().decode(type, from: Data(bytes)) } catch {
            throw Unreadable(why: Self.words(of: error))
        }
    }

    struct Unreadable: Error, Hashable, Sendable {
        let why: String
    }

    private static func words(of error: any Error) -> String {
        func place(_ path: [any CodingKey]) -> String {
            path.isEmpty ? "the body" : path.map(\.stringValue).joined(separator: ".")
        }
        switch error as? DecodingError {
        case .keyNotFound(let key, let context):
            return "\(place(context.codingPath + [key])) is missing"
        case .typeMismatch(let type, let context):
            return "\(place(context.codingPath)) is no \(type)"
        case .valueNotFound(let type, let context):
            return "\(place(context.codingPath)) is null, expected \(type)"
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            return "\(place(context.codingPath)): \(context.debugDescription)"
        default: return "it is not JSON, or a number in it does not fit"
        }
    }
}
