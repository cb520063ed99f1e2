import S3Protocol
import Testing

@Suite("Lists of a service") struct ListTests {
    private static func page(_ inside: String) throws(S3ListPage.Refused) -> S3ListPage {
        try S3ListPage(
            parsing: Array(
                """
                <?xml version="1.0" encoding="UTF-8"?>
                <!-- from a store -->
                <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\(inside)</ListBucketResult>

                """.utf8))
    }
    private static let two = """
        <Contents><Key>a/1</Key><Size>5</Size><ETag>&quot;x&quot;</ETag></Contents>
        <Contents><Size>0</Size><Key>a%2F2+b</Key></Contents>
        """

    @Test func `a page names its objects, and where it goes on`() throws {
        let plain = try Self.page(Self.two + "<IsTruncated>false</IsTruncated>")
        #expect(plain.entries.map(\.key) == ["a/1", "a%2F2+b"])
        #expect(plain.entries.map(\.byteCount) == [5, 0] && plain.next == nil)
        let encoded = try Self.page(
            "<EncodingType>url</EncodingType><KeyCount>2</KeyCount>" + Self.two
                + "<IsTruncated>true</IsTruncated><NextContinuationToken>n==</NextContinuationToken>"
        )
        #expect(encoded.entries.map(\.key) == ["a/1", "a/2 b"] && encoded.next == "n==")
        #expect(try Self.page("<IsTruncated>false</IsTruncated>").entries == [])
    }

    /// A list that is short must not pass for a whole one: who deletes goes by it.
    @Test func `a page that is not whole is refused`() {
        for end in ["", "<IsTruncated>True</IsTruncated>", "<IsTruncated/>"] {
            #expect(throws: S3ListPage.Refused.noEnd) { try Self.page(Self.two + end) }
        }
        #expect(throws: S3ListPage.Refused.count(said: "3", have: 2)) {
            try Self.page("<KeyCount>3</KeyCount>" + Self.two)
        }
        #expect(throws: S3ListPage.Refused.noNext) {
            try Self.page(Self.two + "<IsTruncated>true</IsTruncated>")
        }
        #expect(throws: S3ListPage.Refused.entry(0)) { try Self.page("<Contents></Contents>") }
        #expect(throws: S3ListPage.Refused.entry(0)) {
            try Self.page("<Contents><Key>a</Key><Size>-1</Size></Contents>")
        }
        #expect(throws: S3ListPage.Refused.notAList("html")) {
            try S3ListPage(parsing: Array("<html/>".utf8))
        }
        #expect(throws: S3ListPage.Refused.self) {
            try S3ListPage(parsing: Array("<ListBucketResult><Contents>".utf8))
        }
    }

    @Test func `elements, text and references are read`() throws {
        let root = try XMLElement(
            parsing: Array(
                "\u{feff}<?xml version='1.0'?><n:a x='>' y=\"/>\"><b/>t&amp;&#65;&#x42;<![CDATA[<c>]]><b q='1'>u</b ></n:a>"
                    .utf8))
        #expect(root.name == "a" && root.text == "t&AB<c>")
        #expect(root.children.map(\.name) == ["b", "b"] && root.children[1].text == "u")
    }

    @Test(arguments: [
        "", "a", "<a>", "<a></b>", "<a/><b/>", "<a b></a>", "<a b=c></a>", "<a>&none;</a>",
        "<a>&lt</a>",
        "<a", "<a><!-- </a>", "<>x</>", "<a>&#xd800;</a>", "<a/>x",
    ])
    func `what is no document is refused`(text: String) {
        #expect(throws: XMLElement.Refused.self) { try XMLElement(parsing: Array(text.utf8)) }
    }

    @Test func `a text that could grow or reach elsewhere is refused`() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><a>&b;</a>"
        #expect(throws: XMLElement.Refused.documentType) {
            try XMLElement(parsing: Array(bomb.utf8))
        }
        let deep = String(repeating: "<a>", count: 17) + String(repeating: "</a>", count: 17)
        #expect(throws: XMLElement.Refused.tooDeep) { try XMLElement(parsing: Array(deep.utf8)) }
        #expect(throws: XMLElement.Refused.notText) { try XMLElement(parsing: [0x3c, 0xff]) }
    }
}
