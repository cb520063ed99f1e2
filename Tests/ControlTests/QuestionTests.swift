import Admin
import Control
import Dispatch
import Foundation
import Testing

/// Answers everybody with the same bytes and hangs up, whether or not it was asked anything.
private final class Hasty: Sendable {
    let path = "/tmp/hfq-\(UUID().uuidString.prefix(8)).sock"
    private let descriptor: CInt

    init(answer: String, count: Int) throws {
        descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let descriptor = descriptor
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, UInt32(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && listen(descriptor, 64) == 0)
        let bytes = Array(answer.utf8)
        DispatchQueue(label: "hasty").async {
            for _ in 0..<count {
                let client = accept(descriptor, nil, nil)
                guard client >= 0 else { return }
                _ = unsafe bytes.withUnsafeBytes {
                    unsafe send(client, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
                }
                close(client)
            }
        }
    }

    deinit {
        close(descriptor)
        unsafe unlink(path)
    }
}

@Suite("Answers that come before the question")
struct QuestionTests {
    @Test func `why somebody is turned away is read, however early it is hung up`() async throws {
        let problem = Problem(HTTPRefused.crowded(limit: 2))
        let body = String(decoding: try JSONEncoder().encode(problem), as: UTF8.self)
        let count = 300
        let hasty = try Hasty(
            answer: "HTTP/1.1 503 Service Unavailable\r\ncontent-length: \(body.utf8.count)\r\n"
                + "content-type: application/problem+json\r\n\r\n\(body)", count: count)
        let client = AdminClient(path: hasty.path)
        for _ in 0..<count {
            await #expect(throws: AskFailed.refused(problem)) { try await client.ask(.status) }
        }
    }

    @Test func `who hangs up without a word is told of as that`() async throws {
        let hasty = try Hasty(answer: "", count: 1)
        let client = AdminClient(path: hasty.path)
        await #expect(throws: AskFailed.self) { try await client.ask(.status) }
    }
}
