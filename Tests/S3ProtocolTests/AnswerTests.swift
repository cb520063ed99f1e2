import Mesh
import S3Protocol
import Testing

@Suite("Answers of a service") struct AnswerTests {
    private static let time = S3Time(unixSeconds: 1_440_938_160)

    private static func error(_ code: String, _ rest: String = "") -> [UInt8] {
        Array(
            """
            <?xml version="1.0" encoding="UTF-8"?>
            <Error><Code>\(code)</Code><Message>It &lt;is&gt; so</Message>\(rest)</Error>
            """.utf8)
    }

    private static func verdict(
        _ status: Int, _ body: [UInt8] = [], _ headers: [String: String] = [:],
        bodyIsObject: Bool = false
    ) -> S3Verdict {
        S3Verdict(
            S3Answer(status: status, headers: headers, body: body), bodyIsObject: bodyIsObject,
            sentAt: time)
    }

    private static func isAgain(_ verdict: S3Verdict) -> Bool {
        if case .again = verdict { true } else { false }
    }

    private static func refusal(_ verdict: S3Verdict) -> String {
        if case .refused(let words) = verdict { words } else { "not refused: \(verdict)" }
    }

    @Test func `what is done, missing or in the way is told apart`() {
        #expect(Self.verdict(200) == .done && Self.verdict(204) == .done)
        #expect(Self.verdict(206, bodyIsObject: true) == .done)
        #expect(Self.verdict(404) == .noSuchObject)
        // A gateway's, whose backend is away for a moment.
        #expect(Self.isAgain(Self.verdict(404, bodyIsObject: true)))
        #expect(Self.verdict(404, Self.error("NoSuchKey"), bodyIsObject: true) == .noSuchObject)
        #expect(Self.verdict(404, Self.error("NoSuchKey")) == .noSuchObject)
        #expect(Self.verdict(404, Self.error("NoSuchBucket")) == .noSuchBucket)
        #expect(Self.verdict(412, Self.error("PreconditionFailed")) == .isThere)
        #expect(Self.verdict(409, Self.error("ConditionalRequestConflict")) == .conflict)
        #expect(Self.verdict(416, Self.error("InvalidRange")) == .beyondEnd)
        #expect(
            Self.verdict(507) == .full && Self.verdict(403, Self.error("QuotaExceeded")) == .full)
    }

    /// pgBackRest #1438: an error that comes with "200 OK" is one.
    @Test func `success with an error in its body is none, but an object may hold what it likes`() {
        #expect(Self.isAgain(Self.verdict(200, Self.error("InternalError"))))
        #expect(Self.isAgain(Self.verdict(200, Self.error("SomethingNew"))))
        #expect(Self.refusal(Self.verdict(200, Self.error("InvalidAccessKeyId"))).contains("file"))
        #expect(Self.verdict(200, Self.error("InternalError"), bodyIsObject: true) == .done)
    }

    @Test(arguments: [
        (500, "InternalError"), (503, "SlowDown"), (503, "ServiceUnavailable"), (502, ""),
        (504, ""), (429, ""), (400, "RequestTimeout"), (408, ""), (400, "BadDigest"),
        (400, "XAmzContentSHA256Mismatch"), (400, "IncompleteBody"),
    ])
    func `what may be better next time is tried again`(status: Int, code: String) {
        #expect(Self.isAgain(Self.verdict(status, code.isEmpty ? [] : Self.error(code))))
    }

    @Test(arguments: [
        (403, "AccessDenied", "what they may do"), (403, "InvalidAccessKeyId", "credentials"),
        (403, "SignatureDoesNotMatch", "credentials"), (400, "ExpiredToken", "credentials"),
        (401, "", "credentials"), (400, "InvalidArgument", "It <is> so"),
        (501, "NotImplemented", "use another one"), (405, "MethodNotAllowed", "refuses"),
    ])
    func `what will be no better is refused at once`(status: Int, code: String, words: String) {
        let said = Self.refusal(Self.verdict(status, code.isEmpty ? [] : Self.error(code)))
        #expect(said.contains(words) && said.contains(code), "\(said)")
    }

    @Test func `clocks that differ are both told`() {
        let said = Self.refusal(
            Self.verdict(
                403, Self.error("RequestTimeTooSkewed"),
                ["date": "Sun, 30 Aug 2015 13:00:00 GMT"]))
        #expect(said.contains("20150830T123600Z") && said.contains("13:00:00 GMT"))
    }

    @Test func `a bucket that is elsewhere is told, and no redirection followed`() {
        let bodies =
            [
                (301, Self.error("PermanentRedirect", "<Endpoint>b.s3.eu.example</Endpoint>"), [:]),
                (
                    400, Self.error("AuthorizationHeaderMalformed", "<Region>eu-north-1</Region>"),
                    [:]
                ),
                (301, [], ["x-amz-bucket-region": "eu-north-1"]), (307, [], [:]),
            ] as [(Int, [UInt8], [String: String])]
        let said = bodies.map { Self.refusal(Self.verdict($0, $1, $2)) }
        #expect(said[0].contains("endpoint: https://b.s3.eu.example"))
        #expect(said[1].contains("region: eu-north-1") && said[2].contains("region: eu-north-1"))
        #expect(said.allSatisfy { $0.contains("elsewhere") })
    }

    @Test func `what a service says is shown on one line, and not all of it`() {
        let long = String(repeating: "x", count: 500)
        let problem = S3Problem(
            parsing: Array(
                "<Error><Code>A</Code><Message>a\u{1b}[2J\n\(long)</Message></Error>".utf8))
        #expect(problem?.message.count == S3Problem.shownMax)
        #expect(problem?.message.contains { $0 == "\u{1b}" || $0.isNewline } == false)
        #expect(S3Problem(parsing: Array("<html></html>".utf8)) == nil)
        #expect(S3Problem(parsing: Array("<Error></Error>".utf8)) == nil)
        #expect(S3Problem(parsing: []) == nil)
        let ended = Self.error("InvalidRange", "<ActualObjectSize>7</ActualObjectSize>")
        #expect(S3Problem(parsing: ended)?.byteCount == 7)
    }

    @Test func `a part says which it is, and of how much`() {
        #expect(ContentRange("bytes 0-9/100")?.part == 0..<10)
        #expect(ContentRange("bytes 0-9/100")?.byteCount == 100)
        #expect(ContentRange("bytes */100")?.byteCount == 100)
        #expect(ContentRange("bytes */100")?.part == nil)
        #expect(ContentRange("bytes 5-9/*")?.part == 5..<10)
        for text in ["", "0-9/100", "bytes 9-0/100", "bytes 0-100/100", "bytes 0-9", "bytes a-b/c"]
        {
            #expect(ContentRange(text) == nil, "\(text)")
        }
    }

    @Test func `pauses grow, are drawn, and have an end`() {
        let patience = S3Patience()
        var chance = SeededRandom(seed: 7)
        for tries in 1...40 {
            let bound = min(
                patience.pauseMax, patience.pauseFirst * (1 << UInt64(min(tries - 1, 20))))
            let drawn = (0..<200).map { _ in
                patience.pause(afterTries: tries, asked: nil, using: &chance)
            }
            #expect(drawn.allSatisfy { $0 <= bound })
            #expect(drawn.contains { $0 < bound / 4 } && drawn.contains { $0 > bound / 4 * 3 })
        }
        let asked = S3Patience.asked(S3Answer(status: 503, headers: ["retry-after": "5"]))
        #expect(asked == .seconds(5))
        #expect(patience.pause(afterTries: 1, asked: asked, using: &chance) == .seconds(5))
        #expect(
            patience.pause(afterTries: 1, asked: .seconds(9_000), using: &chance)
                == patience.pauseMax)
        #expect(S3Patience.asked(S3Answer(status: 503, headers: ["retry-after": "soon"])) == nil)
    }
}
