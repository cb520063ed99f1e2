internal import FoundationEssentials
package import Mesh
package import Repository
package import S3Protocol
package import S3Store
package import Sealing

/// A key in AWS's Key Management Service, or in one that speaks like it. What it wraps is bound to repository and tenant.
package struct KMSKey: KeyService {
    package static let timeoutDefault = Interval.seconds(30)
    static let triesMax = 6

    /// For all tries of one deed together.
    package static func patience(_ timeout: Interval?) -> S3Patience {
        var patience = S3Patience()
        patience.total = timeout ?? timeoutDefault
        (patience.request, patience.silence) = (patience.total, patience.total)
        patience.connecting = min(patience.connecting, patience.total)
        patience.triesMax = triesMax
        return patience
    }

    private let keyID: String
    private let region: String
    private let host: String
    private let signer: S3Signer
    private let carrier: any S3Carrier
    private let patience: S3Patience
    private let world: S3World

    package init(
        _ keyID: String, region: String, host: String, _ credentials: S3Credentials,
        carrier: any S3Carrier, patience: S3Patience = KMSKey.patience(nil),
        world: S3World = .ofThisMachine
    ) {
        (self.keyID, self.region, self.host) = (keyID, region, host)
        signer = S3Signer(credentials, region: region, service: "kms")
        (self.carrier, self.patience, self.world) = (carrier, patience, world)
    }

    package var kind: Wrapping.Kind { .kms }
    package var name: String { "KMS key \(S3Problem.shown(keyID)) in \(region)" }
    package var identity: [String] { [host, region, keyID] }

    package func wrap(
        _ secret: Secret, for owner: RingOwner
    ) throws(UnwrapRefused) -> [UInt8] {
        let plain = secret.withBytes { bytes in Data(bytes.indices.map { bytes[$0] }) }
        let answer = try ask(
            "Encrypt",
            KMSSpeech.encoded(
                KMSSpeech.Words(
                    keyID: keyID, plaintext: plain, context: KMSSpeech.context(owner))))
        guard let made: KMSSpeech.Words = KMSSpeech.decoded(answer), let arn = made.keyID,
            let ciphertext = made.ciphertext, !ciphertext.isEmpty,
            (1...KMSBlob.arnByteCountMax).contains(arn.utf8.count)
        else { throw .service("\(name): it gave no ciphertext") }
        return KMSBlob(arn: arn, ciphertext: Array(ciphertext)).bytes
    }

    package func unwrap(
        _ bytes: [UInt8], for owner: RingOwner
    ) throws(UnwrapRefused) -> Secret {
        guard let blob = KMSBlob(parsing: bytes) else { throw .damaged }
        guard blob.mayBe(of: keyID, in: region) else { throw .wrongKey }
        let answer = try ask(
            "Decrypt",
            KMSSpeech.encoded(
                KMSSpeech.Words(
                    keyID: keyID, ciphertext: Data(blob.ciphertext),
                    context: KMSSpeech.context(owner))))
        guard let made: KMSSpeech.Words = KMSSpeech.decoded(answer),
            let secret = made.plaintext.flatMap({ Secret(Array($0)) })
        else { throw .service("\(name): it gave no key of \(Secret.byteCount) bytes") }
        return secret
    }

    /// Until it is done, until no other try will do, or until patience ends.
    private func ask(_ action: String, _ body: [UInt8]) throws(UnwrapRefused) -> S3Answer {
        let began = world.now()
        let request = KMSSpeech.request(action, body)
        var random = SystemRandomNumberGenerator()
        var tries = 0
        while true {
            tries += 1
            let left = patience.total - world.now().since(began)
            let (why, asked): (String, Interval?)
            switch try once(request, body, within: min(patience.request, left)) {
            case .told(let answer): return answer
            case .again(let words, let wait): (why, asked) = (words, wait)
            }
            let pause = patience.pause(afterTries: tries, asked: asked, using: &random)
            let took = world.now().since(began)
            guard tries < patience.triesMax, took + pause < patience.total else {
                throw .service("\(name): \(why); given up after \(tries) tries")
            }
            world.sleep(pause)
        }
    }

    private enum Step {
        case told(S3Answer)
        case again(String, Interval?)
    }

    private func once(
        _ request: S3Request, _ body: [UInt8], within limit: Interval
    ) throws(UnwrapRefused) -> Step {
        let time = S3Time(unixSeconds: world.unixSeconds())
        let answer: S3Answer
        do throws(S3Mishap) {
            answer = try carrier.carry(
                signer.signed(request, host: host, at: time), body,
                answerMax: KMSSpeech.answerMax, within: limit)
        } catch {
            switch error {
            case .broken(let why): return .again(why, nil)
            case .hopeless(let why): throw .service("\(name): \(why)")
            case .tooLong: throw .service("\(name): its answer is too long")
            }
        }
        switch KMSSpeech.verdict(answer) {
        case .done: return .told(answer)
        case .again(let words): return .again(words, S3Patience.asked(answer))
        case .wrongKey: throw .wrongKey
        case .damaged: throw .damaged
        case .refused(let words): throw .service("\(name): \(words)")
        }
    }
}

/// What a ring keeps of it: which key it was, so that another one is not asked in vain, and what that made.
struct KMSBlob {
    static let arnByteCountMax = 2_048

    /// The key's, as the service says it.
    let arn: String
    let ciphertext: [UInt8]

    init(arn: String, ciphertext: [UInt8]) { (self.arn, self.ciphertext) = (arn, ciphertext) }

    /// nil for what can't be one.
    init?(parsing bytes: [UInt8]) {
        guard bytes.count > 2 else { return nil }
        let end = 2 + Int(bytes[0]) + Int(bytes[1]) << 8
        guard (3...2 + Self.arnByteCountMax).contains(end), end < bytes.count,
            let arn = String(validating: bytes[2..<end], as: UTF8.self)
        else { return nil }
        self.init(arn: arn, ciphertext: Array(bytes[end...]))
    }

    var bytes: [UInt8] {
        let count = arn.utf8.count
        return [UInt8(count & 0xff), UInt8(count >> 8)] + arn.utf8 + ciphertext
    }

    /// False where that key is certainly another one. An alias may be anybody's, and a multi-region key (`mrk-`) is the
    /// same in each region.
    func mayBe(of keyID: String, in region: String) -> Bool {
        func id(_ text: String) -> Substring { text.split(separator: "/").last ?? "" }
        let parts = arn.split(separator: ":", omittingEmptySubsequences: false)
        let isAlias = keyID.contains("alias/")
        if id(arn).hasPrefix("mrk-") { return isAlias || id(keyID) == id(arn) }
        guard parts.count > 3, parts[3] == region else { return false }
        return isAlias || id(keyID) == id(arn)
    }
}
