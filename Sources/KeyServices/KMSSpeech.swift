internal import FoundationEssentials
internal import Repository
internal import S3Protocol
internal import Sealing

/// What is said to a KMS and what its answers mean: `Encrypt` and `Decrypt` of AWS's API of 2014-11-01, in JSON.
///
/// `Encrypt` rather than `GenerateDataKey`: what is wrapped is drawn here, as for every other wrapping, so that the
/// service can choose no key that it knows in advance; and a key's policy has to allow two deeds, not three.
enum KMSSpeech {
    static let answerMax = 64 << 10

    /// What is said and answered; which of these depends on the deed.
    struct Words: Codable {
        var keyID: String?
        var plaintext: Data?
        var ciphertext: Data?
        var context: [String: String]?

        private enum CodingKeys: String, CodingKey {
            case keyID = "KeyId"
            case plaintext = "Plaintext"
            case ciphertext = "CiphertextBlob"
            case context = "EncryptionContext"
        }
    }

    private struct Problem: Decodable {
        let code: String?
        let message: String?
        let otherMessage: String?

        private enum CodingKeys: String, CodingKey {
            case message
            case code = "__type"
            case otherMessage = "Message"
        }
    }

    /// What the service binds to what it encrypts, and shows in its own records. Nothing secret.
    static func context(_ owner: RingOwner) -> [String: String] {
        ["holdfast:repository": "\(owner.repository)", "holdfast:tenant": "\(owner.tenant)"]
    }

    static func request(_ action: String, _ body: [UInt8]) -> S3Request {
        S3Request(
            .post, path: "/",
            headers: [
                ("content-type", "application/x-amz-json-1.1"),
                ("x-amz-target", "TrentService.\(action)"),
            ], bodyDigest: Sealing.Digest(of: body.span))
    }

    static func encoded(_ words: Words) -> [UInt8] {
        guard let data = try? JSONEncoder().encode(words) else {
            preconditionFailure("plain words")
        }
        return Array(data)
    }

    static func decoded<Answer: Decodable>(_ answer: S3Answer) -> Answer? {
        try? JSONDecoder().decode(Answer.self, from: Data(answer.body))
    }

    enum Verdict: Hashable {
        case done
        case again(String)
        case wrongKey
        case damaged
        case refused(String)
    }

    static func verdict(_ answer: S3Answer) -> Verdict {
        if answer.status == 200 { return .done }
        let problem: Problem? = decoded(answer)
        // A namespace may stand before it.
        let code = S3Problem.shown(
            problem?.code?.split(separator: "#").last.map(String.init) ?? "")
        let message = S3Problem.shown(problem?.message ?? problem?.otherMessage ?? "")
        let words =
            code.isEmpty
            ? "status \(answer.status)" : message.isEmpty ? code : "\(code), \(message)"
        switch code {
        case "IncorrectKeyException": return .wrongKey
        case "InvalidCiphertextException": return .damaged
        default: break
        }
        let isDenied = [401, 403].contains(answer.status)
        if let remedy = remedy(code) ?? (isDenied ? credentialsRemedy : nil) {
            return .refused("\(remedy) (\(words))")
        }
        let isPassing =
            answer.status >= 500
            || ["ThrottlingException", "LimitExceededException", "TooManyRequestsException"]
                .contains(code)
        return isPassing ? .again(words) : .refused(words)
    }

    private static let credentialsRemedy =
        "it does not accept these credentials, or the clocks differ: look at both"

    /// What no second try makes better.
    private static func remedy(_ code: String) -> String? {
        switch code {
        case "DisabledException": "the key is disabled: enable it"
        case "KMSInvalidStateException":
            "the key is in no state to be used: it may wait to be deleted, which can be cancelled until then"
        case "NotFoundException":
            "there is no such key in that region: check keyId and region; one that was deleted opens "
                + "nothing any more"
        case "AccessDeniedException":
            "these credentials may not use the key: allow kms:Encrypt and kms:Decrypt"
        case "UnrecognizedClientException", "InvalidSignatureException",
            "IncompleteSignatureException", "MissingAuthenticationTokenException",
            "ExpiredTokenException":
            credentialsRemedy
        case "InvalidKeyUsageException": "the key is not one to encrypt by: give a symmetric one"
        default: nil
        }
    }
}
