import Foundation
import Mesh
import NIOConcurrencyHelpers
import S3Protocol
import S3Store

/// A KMS in memory, of one region. Its answers and errors have the shapes that AWS's API reference gives for `Encrypt`, `Decrypt`
/// and "Common Errors" (API of 2014-11-01, JSON 1.1): `__type`, sometimes with a namespace before it, and `message`.
final class FakeKMS: S3Carrier {
    enum KeyState: Sendable { case enabled, disabled, pendingDeletion, gone }

    struct State: Sendable {
        /// By the key's ARN; what it wraps by is a byte.
        var keys: [String: (byte: UInt8, state: KeyState)] = [:]
        /// What comes instead of the next answers.
        var faults: [Result<S3Answer, S3Mishap>] = []
        var requests: [S3Request] = []
        var bodies: [String] = []
    }

    let region: String
    let state = NIOLockedValueBox(State())

    init(region: String = "eu-central-1") { self.region = region }

    func arn(_ id: String) -> String { "arn:aws:kms:\(region):111122223333:key/\(id)" }

    func set(_ id: String, _ keyState: KeyState, byte: UInt8 = 7) {
        state.withLockedValue { $0.keys[arn(id)] = (byte, keyState) }
    }

    static func problem(_ status: Int, _ code: String, _ message: String = "so") -> S3Answer {
        S3Answer(
            status: status,
            body: Array(#"{"__type":"\#(code)","message":"\#(message)"}"#.utf8))
    }

    func carry(
        _ request: S3Request, _ body: [UInt8], answerMax: Int, within limit: Interval
    ) throws(S3Mishap) -> S3Answer {
        let result = state.withLockedValue { state -> Result<S3Answer, S3Mishap> in
            state.requests.append(request)
            state.bodies.append(String(decoding: body, as: UTF8.self))
            if !state.faults.isEmpty { return state.faults.removeFirst() }
            return .success(reply(request, body, state))
        }
        return try result.get()
    }

    private struct Asked: Decodable {
        let keyID: String
        let plaintext: Data?
        let ciphertext: Data?
        let context: [String: String]

        private enum CodingKeys: String, CodingKey {
            case keyID = "KeyId"
            case plaintext = "Plaintext"
            case ciphertext = "CiphertextBlob"
            case context = "EncryptionContext"
        }
    }

    private func reply(_ request: S3Request, _ body: [UInt8], _ state: State) -> S3Answer {
        guard let asked = try? JSONDecoder().decode(Asked.self, from: Data(body)) else {
            return Self.problem(400, "SerializationException")
        }
        let arn = asked.keyID.hasPrefix("arn:") ? asked.keyID : self.arn(asked.keyID)
        guard let key = state.keys[arn], key.state != .gone else {
            return Self.problem(400, "NotFoundException", "Key '\(arn)' does not exist")
        }
        switch key.state {
        case .disabled: return Self.problem(400, "DisabledException", "\(arn) is disabled.")
        case .pendingDeletion:
            return Self.problem(400, "KMSInvalidStateException", "\(arn) is pending deletion.")
        case .enabled, .gone: break
        }
        let context = asked.context.sorted { $0.key < $1.key }.map { $0.key + $0.value }
            .joined()
        let mark = Array("\(arn)|\(context)|".utf8)
        if let plain = asked.plaintext {
            return answer(arn, "CiphertextBlob", mark + plain.map { $0 ^ key.byte })
        }
        let blob = Array(asked.ciphertext ?? Data())
        guard blob.starts(with: Array("arn:".utf8)) else {
            return Self.problem(400, "InvalidCiphertextException")
        }
        guard blob.starts(with: Array("\(arn)|".utf8)) else {
            return Self.problem(400, "com.amazonaws.kms#IncorrectKeyException")
        }
        guard blob.starts(with: mark), blob.count == mark.count + 32 else {
            return Self.problem(400, "InvalidCiphertextException")
        }
        return answer(arn, "Plaintext", blob.dropFirst(mark.count).map { $0 ^ key.byte })
    }

    private func answer(_ arn: String, _ name: String, _ bytes: [UInt8]) -> S3Answer {
        let text =
            #"{"KeyId":"\#(arn)","\#(name)":"\#(Data(bytes).base64EncodedString())","#
            + #""EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#
        return S3Answer(status: 200, body: Array(text.utf8))
    }
}
