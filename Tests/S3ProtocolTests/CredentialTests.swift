import S3Protocol
import Testing

@Suite("Credentials") struct CredentialTests {
    private static func read(_ text: String) throws(S3Credentials.Refused) -> S3Credentials {
        try S3Credentials(parsing: Array(text.utf8))
    }

    @Test func `the default profile of AWS's file is read`() throws {
        let text = """
            # mine
            [other]
            aws_access_key_id = AKIAOTHER
            [default]
            aws_access_key_id=AKIAMINE
              aws_secret_access_key = s3cr=t/+
            region = eu-central-1
            [last]
            aws_secret_access_key = other
            """
        let read = try Self.read(text)
        #expect(read.id == "AKIAMINE")
        let same = S3Credentials(id: "AKIAMINE", secret: "s3cr=t/+")
        let request = S3Request(.get, path: "/")
        let time = S3Time(unixSeconds: 0)
        #expect(
            S3Signer(read, region: "r").signed(request, host: "h", at: time)
                == S3Signer(same, region: "r").signed(request, host: "h", at: time))
        _ = try Self.read(text.replacing("\n", with: "\r\n"))
    }

    @Test func `a file that is none says what it lacks`() {
        #expect(throws: S3Credentials.Refused.noProfile) { try Self.read("") }
        #expect(throws: S3Credentials.Refused.noProfile) { try Self.read("aws_access_key_id = a") }
        #expect(throws: S3Credentials.Refused.lacks("aws_access_key_id")) {
            try Self.read("[default]\naws_secret_access_key = s")
        }
        #expect(throws: S3Credentials.Refused.lacks("aws_secret_access_key")) {
            try Self.read("[default]\naws_access_key_id = a\naws_secret_access_key =")
        }
        #expect(throws: S3Credentials.Refused.isTwice("aws_access_key_id")) {
            try Self.read("[default]\naws_access_key_id = a\nAWS_ACCESS_KEY_ID = b")
        }
        #expect(throws: S3Credentials.Refused.notText) {
            try S3Credentials(parsing: [0x5b, 0xff])
        }
    }

    /// Whatever prints them: a log, an error, a debugger.
    @Test func `the secret is in no description`() {
        let credentials = S3Credentials(id: "AKIAMINE", secret: "s3cret", token: "t0ken")
        let signer = S3Signer(credentials, region: "r")
        var dumped = ""
        dump(credentials, to: &dumped)
        dump(signer, to: &dumped)
        let time = S3Time(unixSeconds: 0)
        let signed = S3Signer(S3Credentials(id: "AKIAMINE", secret: "s3cret"), region: "r")
            .signed(S3Request(.get, path: "/"), host: "h", at: time)
        for text in [
            "\(credentials)", String(reflecting: credentials), "\(signer)",
            String(reflecting: signer), dumped, "\(signed)",
        ] {
            #expect(!text.contains("s3cret") && !text.contains("t0ken"), "\(text)")
        }
        #expect("\(credentials)".contains("AKIAMINE"))
    }
}
