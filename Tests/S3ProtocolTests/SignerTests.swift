import S3Protocol
import Sealing
import Testing

/// AWS's own examples: of its signature test suite (service `service`), and of the S3 API reference,
/// "Authenticating Requests: Using the Authorization Header".
@Suite("Signatures (AWS Signature Version 4)") struct SignerTests {
    private static let suite = S3Signer(
        S3Credentials(id: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        region: "us-east-1", service: "service")
    private static let suiteTime = S3Time(unixSeconds: 1_440_938_160)
    private static let s3 = S3Signer(
        S3Credentials(
            id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        region: "us-east-1")
    private static let s3Time = S3Time(unixSeconds: 1_369_353_600)

    @Test(arguments: [
        (
            [("Param2", "value2"), ("Param1", "value1")], "/",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        ),
        ([], "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ([("ሴ", "bar")], "/", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        (
            [], PercentEncoding.text("/ሴ", keepingSlashes: true),
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"
        ),
    ])
    func `the signature test suite's requests are signed as it says`(
        query: [(String, String)], path: String, signature: String
    ) {
        var request = S3Request(.get, path: path, query: query)
        request.add("host", "example.amazonaws.com")
        request.add("x-amz-date", Self.suiteTime.text)
        #expect(
            Self.suite.authorization(of: request, at: Self.suiteTime)
                == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                + "SignedHeaders=host;x-amz-date, Signature=\(signature)")
    }

    private func signature(_ request: S3Request) -> String? {
        let host = "examplebucket.s3.amazonaws.com"
        let signed = Self.s3.signed(request, host: host, at: Self.s3Time)
        let words = signed.headers.first { $0.name == "authorization" }?.value
        return words?.split(separator: "Signature=").last.map { String($0) }
    }

    @Test func `S3's own examples are signed as its reference says`() {
        #expect(
            signature(S3Request(.get, path: "/test.txt", headers: [("Range", "bytes=0-9")]))
                == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
        let put = S3Request(
            .put, path: PercentEncoding.text("/test$file.text", keepingSlashes: true),
            headers: [
                ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ], bodyDigest: Digest(of: Array("Welcome to Amazon S3.".utf8).span))
        #expect(
            signature(put) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
        #expect(
            signature(S3Request(.get, path: "/", query: [("lifecycle", "")]))
                == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
        #expect(
            signature(S3Request(.get, path: "/", query: [("prefix", "J"), ("max-keys", "2")]))
                == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    }

    @Test func `lent credentials are signed with their token`() {
        let lent = S3Signer(S3Credentials(id: "a", secret: "b", token: "t/+="), region: "r")
        let signed = lent.signed(S3Request(.get, path: "/"), host: "h", at: Self.s3Time)
        #expect(signed.headers.contains { $0.name == "x-amz-security-token" && $0.value == "t/+=" })
        #expect(signed.headers.last?.value.contains("x-amz-security-token,") == true)
    }

    @Test(
        arguments: [
            (0, "19700101T000000Z"), (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"), (1_709_251_200, "20240301T000000Z"),
            (4_102_444_799, "20991231T235959Z"), (4_107_542_400, "21000301T000000Z"),
        ] as [(UInt64, String)])
    func `a second has its name`(seconds: UInt64, text: String) {
        #expect(S3Time(unixSeconds: seconds).text == text)
    }

    @Test func `what is encoded is decoded, and nothing else`() {
        #expect(PercentEncoding.text("a b+c/d~%ü") == "a%20b%2Bc%2Fd~%25%C3%BC")
        #expect(PercentEncoding.decoded("a%20b%2Bc+d%2fü") == "a b+c d/ü")
        for text in ["%", "%4", "%zz", "%ff"] { #expect(PercentEncoding.decoded(text) == nil) }
    }
}
