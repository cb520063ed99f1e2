import S3Protocol
import Testing

@Suite("Versions and locks of a service") struct VersionTests {
    private static func page(_ inside: String) throws(S3ListPage.Refused) -> S3VersionPage {
        try S3VersionPage(
            parsing: Array("<ListVersionsResult>\(inside)</ListVersionsResult>".utf8))
    }
    private static let two = """
        <DeleteMarker><Key>a%2F1</Key><VersionId>w</VersionId><IsLatest>true</IsLatest>
            <LastModified>2015-08-30T12:36:01.25Z</LastModified></DeleteMarker>
        <Version><Key>a%2F1</Key><VersionId>v</VersionId>
            <LastModified>2015-08-30T12:36:00Z</LastModified><Size>5</Size></Version>
        """

    @Test func `a page names versions and markers in their order, and where it goes on`() throws {
        let last = try Self.page(Self.two + "<IsTruncated>false</IsTruncated>")
        #expect(last.entries.map(\.key) == ["a%2F1", "a%2F1"] && last.next == nil)
        #expect(last.entries.map(\.version) == ["w", "v"])
        #expect(last.entries.map(\.isMarker) == [true, false])
        #expect(last.entries.map(\.byteCount) == [0, 5])
        #expect(last.entries.map(\.modified) == [1_440_938_161_250, 1_440_938_160_000])
        #expect(last.entries.map(\.isLatest) == [true, false])
        let more = try Self.page(
            "<EncodingType>url</EncodingType>" + Self.two
                + "<IsTruncated>true</IsTruncated><NextKeyMarker>a%2F1</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
        )
        #expect(more.entries.first?.key == "a/1")
        #expect(more.next?.key == "a/1" && more.next?.version == "v")
    }

    @Test func `a page that is not whole is refused`() {
        #expect(throws: S3ListPage.Refused.noEnd) { try Self.page(Self.two) }
        #expect(throws: S3ListPage.Refused.noNext) {
            try Self.page(Self.two + "<IsTruncated>true</IsTruncated>")
        }
        for lacking in ["<Size>5</Size>", "<LastModified>2015-08-30T12:36:00Z</LastModified>"] {
            #expect(throws: S3ListPage.Refused.entry(0)) {
                try Self.page("<Version><Key>a</Key><VersionId>v</VersionId>\(lacking)</Version>")
            }
        }
        #expect(throws: S3ListPage.Refused.notAList("ListBucketResult")) {
            try S3VersionPage(parsing: Array("<ListBucketResult/>".utf8))
        }
    }

    @Test func `versions are told apart by when they came, however a service lists them`() {
        func entry(
            _ version: String, _ modified: UInt64, isMarker: Bool = false, isLatest: Bool = false
        )
            -> S3VersionPage.Entry
        {
            S3VersionPage.Entry(
                key: "a", version: version, isMarker: isMarker, byteCount: 1, modified: modified,
                isLatest: isLatest)
        }
        let listed = [
            entry("2", 2_000), entry("1", 1_000), entry("4", 4_000, isLatest: true),
            entry("m", 2_500, isMarker: true), entry("n", 1_000, isMarker: true),
        ]
        #expect(
            listed.sorted(by: S3VersionPage.Entry.isNewer).map(\.version) == [
                "4", "m", "2", "n", "1",
            ])
    }

    @Test(arguments: [0, 951_782_399, 951_782_400, 1_440_938_160, 4_107_542_399, 253_402_300_799])
    func `a date is read as it was written`(seconds: UInt64) {
        let text = S3Time(unixSeconds: seconds).date
        #expect(S3Time.unixSeconds(date: text) == seconds, "\(text)")
        #expect(S3Time.unixSeconds(date: text.dropLast() + ".802743Z") == seconds)
    }

    @Test func `what is no date is none`() {
        #expect(S3Time(unixSeconds: 1_440_938_160).date == "2015-08-30T12:36:00Z")
        for text in [
            "", "2015-08-30", "2015-08-30T12:36:00", "2015-13-30T12:36:00Z", "2015-00-30T12:36:00Z",
            "2015-08-32T12:36:00Z", "2015-08-30T24:36:00Z", "15-08-30T12:36:00.0000Z",
            "2015-08-30T12:36:00+00:00Z2",
        ] { #expect(S3Time.unixSeconds(date: text) == nil, "\(text)") }
    }

    @Test func `a lock lasts for its days from the put on, and is found again in an answer`() {
        let lock = S3Lock(.governance, days: 30)
        let headers = Dictionary(uniqueKeysWithValues: lock.headers(at: 1_440_938_160))
        #expect(headers["x-amz-object-lock-mode"] == "GOVERNANCE")
        #expect(headers["x-amz-object-lock-retain-until-date"] == "2015-09-29T12:36:00Z")
        let found = S3Lock.found(in: S3Answer(status: 206, headers: headers))
        #expect(found?.mode == .governance && found?.until == 1_440_938_160 + 30 * 86_400)
        #expect(lock.least(at: 0) == 15 * 86_400)
        #expect(S3Lock.found(in: S3Answer(status: 200)) == nil)
        let asked = String(decoding: lock.retention(at: 1_440_938_160), as: UTF8.self)
        #expect(asked.contains("<Mode>GOVERNANCE</Mode>"))
        #expect(asked.contains("<RetainUntilDate>2015-09-29T12:36:00Z</RetainUntilDate>"))
        for (body, isEnabled) in [
            (
                "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
                true
            ),
            ("<ObjectLockConfiguration/>", false), ("", false), ("<html/>", false),
        ] { #expect(S3Lock.isEnabled(by: Array(body.utf8)) == isEnabled) }
    }
}
